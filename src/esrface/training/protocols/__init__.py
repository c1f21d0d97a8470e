"""The four protocols of the paper: AffectNet (emotions; valence and arousal), FER+ and CK+."""
