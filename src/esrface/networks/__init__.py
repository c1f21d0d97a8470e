"""The networks in torch: what training builds and export reads. Recognising does not need this package."""
