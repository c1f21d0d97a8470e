"""The page of a run: one HTML file that opens offline and holds everything it shows.

``collect`` and ``gallery`` gather what a run shows in bounded memory, ``page`` writes it. The sinks
``esrface.sinks.VideoReport`` and ``PictureReport`` hand over what comes.
"""
