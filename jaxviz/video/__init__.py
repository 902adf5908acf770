"""Videos in files: read one frame after another, and written so, with the sound of another file; on the host.

with video.read("film.mp4") as film, video.Writer("out.mp4", film.fps, sound_from="film.mp4") as out:
    for at, frame in film.timed():
        out.add(255 - frame, at)
"""

from jaxviz.video.library import VideoError, library
from jaxviz.video.reading import SUFFIXES, Frame, Video, read
from jaxviz.video.writing import LONGEST, Writer, write

__all__ = ["LONGEST", "SUFFIXES", "Frame", "Video", "VideoError", "Writer", "library", "read", "write"]
