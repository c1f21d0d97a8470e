"""The screen that people look at: what it shows (pixels only) and the window that it is shown in.

``scene`` says what is to be seen, ``compose`` draws it, ``stage`` hands scenes from the run to the window,
and ``window`` shows them; only ``sdl`` knows the library behind it.
"""
