"""Data sets of labelled faces: reading them, their label rules, and batched augmentation."""
