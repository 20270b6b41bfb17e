import cv2
import numpy as np
import pytest

from pipeline.errors import Undecodable
from service.errors import UnsupportedContent
from service.streams.pictures import decode_frame, size_in_header, upright_size

PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
LOSSY, LOSSLESS = [cv2.IMWRITE_WEBP_QUALITY, 80], [cv2.IMWRITE_WEBP_QUALITY, 101]
KINDS = [(".jpg", []), (".jpg", PROGRESSIVE), (".webp", LOSSY), (".webp", LOSSLESS)]
IDS = ["jpeg", "progressive", "lossy", "lossless"]


def encoded(width, height, ext=".jpg", options=()):
    """A red left half and a blue right half."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 2] = image[:, width // 2 :, 0] = 255
    return cv2.imencode(ext, image, options)[1].tobytes()


def turned(picture, orientation):
    """Add what a camera that was held sideways notes."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation, 0, 0])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    return picture[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + picture[2:]


def extended(picture, width, height):
    """Put a WebP into the format that has a header for extras."""
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"WEBPVP8X" + len(canvas).to_bytes(4, "little") + canvas + picture[12:]
    return b"RIFF" + len(chunks).to_bytes(4, "little") + chunks


@pytest.mark.parametrize(("ext", "options"), KINDS, ids=IDS)
@pytest.mark.parametrize("size_wh", [(640, 480), (37, 21), (1, 1)])
def test_a_picture_s_size_stands_in_its_header(ext, options, size_wh):
    assert size_in_header(encoded(*size_wh, ext, options)) == size_wh


def test_a_webp_with_extras_has_its_size_elsewhere():
    picture = extended(encoded(300, 200, ".webp", LOSSY), 300, 200)
    assert size_in_header(picture) == (300, 200)
    assert decode_frame(picture, 0.0, index=0, max_side=None).size_wh == (300, 200)


@pytest.mark.parametrize("picture", [b"", b"GIF89a", encoded(8, 8, ".png"), b"\0" * 100, b"RIFF1234WAVEfmt "])
def test_what_is_neither_jpeg_nor_webp_is_refused(picture):
    with pytest.raises(UnsupportedContent, match="JPEG or WebP"):
        size_in_header(picture)


@pytest.mark.parametrize("ext", [".jpg", ".webp"])
def test_a_header_that_ends_early_is_refused(ext):
    picture = encoded(64, 48, ext)
    with pytest.raises(Undecodable):
        size_in_header(picture[:22])


@pytest.mark.parametrize(
    "tail", [b"\xff\xfe\0\x02" * 1000, b"\xff" * 1000, b"\xff\xc0\0\x11\x08\0\0\0\0", b"\xff\xda"], ids=range(4)
)
def test_a_header_that_does_not_come_to_the_point_is_refused(tail):
    with pytest.raises(Undecodable):
        size_in_header(b"\xff\xd8\xff\xe0\0\x02" + tail)


def test_a_picture_of_endless_scans_is_refused():
    picture = encoded(64, 48, ".jpg", PROGRESSIVE)
    with pytest.raises(Undecodable, match="scans"):
        size_in_header(picture[:-2] + b"\xff\xda" * 100 + picture[-2:])


@pytest.mark.parametrize(("ext", "options"), KINDS, ids=IDS)
def test_colours_are_red_green_blue(ext, options):
    frame = decode_frame(encoded(64, 48, ext, options), 1.5, index=7, max_side=None)
    assert frame.image[24, 8].tolist() == pytest.approx([255, 0, 0], abs=8)
    assert frame.image[24, 56].tolist() == pytest.approx([0, 0, 255], abs=8)
    assert (frame.index, frame.time_s, frame.scale) == (7, 1.5, 1.0)


@pytest.mark.parametrize(("side", "factor"), [(319, 1), (640, 2), (1279, 2), (1280, 4), (2559, 4), (2561, 8)])
@pytest.mark.parametrize("ext", [".jpg", ".webp"])
def test_a_picture_is_decoded_no_larger_than_is_of_use(side, factor, ext):
    picture = encoded(side, side // 4, ext)
    frame = decode_frame(picture, 0.0, index=0, max_side=320)
    assert max(frame.size_wh) == pytest.approx(side / factor, abs=1)
    assert frame.scale == 1 / factor
    assert upright_size(picture, frame) == (side, side // 4)


def test_a_picture_is_turned_upright_as_its_camera_noted():
    picture = turned(encoded(640, 480), orientation=6)
    assert size_in_header(picture) == (640, 480)
    frame = decode_frame(picture, 0.0, index=0, max_side=320)
    assert (frame.size_wh, frame.scale) == ((240, 320), 0.5)
    assert upright_size(picture, frame) == (480, 640)
    assert frame.image[8, 100].tolist() == pytest.approx([255, 0, 0], abs=8)


def test_a_damaged_picture_is_refused():
    picture = encoded(64, 48, ".webp", LOSSY)
    with pytest.raises(Undecodable, match="damaged"):
        decode_frame(picture[:40], 0.0, index=0, max_side=None)
