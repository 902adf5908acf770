"""Small films made on the spot, with and without sound, by PyAV alone."""

import struct
from fractions import Fraction

import av
import numpy as np

TONE, HERTZ = 440, 48_000
IDENTITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
CLOCKWISE = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
"""As QuickTime has it: right becomes down, and down left."""


def frames(count=12, size=(48, 64)):
    """A bar of another color that moves over a still ground, uint8 [count, h, w, 3]."""
    made = np.empty((count, *size, 3), np.uint8)
    made[:] = (60, 120, 180)
    for k in range(count):
        made[k, :, 2 * k : 2 * k + 8] = (220, 60, 40)
    return made


def film(
    path, pictures, *, fps=25, codec="libx264", sound="", matrix=None, full=False, times=None, **options
):
    """Writes a film; `matrix` "ITU709" or "ITU601" is written into it, and None left out."""
    rate = Fraction(fps)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        if matrix:
            stream.codec_context.colorspace = {"ITU709": 1, "ITU601": 6}[matrix]
            stream.codec_context.color_range = 2 if full else 1
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        heard = container.add_stream(sound, rate=HERTZ, layout="mono") if sound else None
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
                format=stream.pix_fmt,
                dst_colorspace=matrix or "ITU601",
                dst_color_range="JPEG" if full else "MPEG",
            )
            if times is not None:
                frame.pts, frame.time_base = times[k], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if heard is not None:
            container.mux([packet for part in tone(len(pictures) / rate) for packet in heard.encode(part)])
            container.mux(heard.encode())


def tone(seconds):
    """A sine, in frames of 1024 samples."""
    wave = 0.5 * np.sin(2 * np.pi * TONE * np.arange(int(HERTZ * seconds)) / HERTZ)
    samples = np.round(wave * 32767).astype(np.int16)
    for start in range(0, len(samples), 1024):
        part = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="s16", layout="mono")
        part.rate, part.pts, part.time_base = HERTZ, start, Fraction(1, HERTZ)
        yield part


def sound_of(path):
    """The codec of a file's sound, its seconds, and its strongest frequency in hertz."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in container.decode(stream)]
        samples = np.concatenate(parts).astype(np.float64)
        strongest = np.abs(np.fft.rfft(samples)).argmax() * stream.rate / len(samples)
        return stream.codec_context.codec.canonical_name, len(samples) / stream.rate, strongest


def cut(path, share):
    """Cuts a file off."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


def turned(path):
    """Says in an MP4 that it is to be seen turned clockwise, as telephones do."""
    whole = path.read_bytes()
    at = whole.index(IDENTITY, whole.index(b"tkhd"))
    path.write_bytes(whole[:at] + CLOCKWISE + whole[at + len(CLOCKWISE) :])
