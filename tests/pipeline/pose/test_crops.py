import numpy as np
import pytest

from pipeline.pose.crops import CropSpec, cut_crop, place_crops

BOX = np.array([[100, 50, 200, 250]], np.float32)


@pytest.mark.parametrize("udp", [False, True])
def test_points_come_back_to_where_they_were(udp: bool, rng: np.random.Generator) -> None:
    placement = place_crops(BOX, CropSpec(udp=udp))
    points = rng.uniform(0, 300, (1, 17, 2)).astype(np.float32)
    cropped = (points * placement.scales[:, None] + placement.offsets[:, None]).astype(np.float32)
    assert placement.to_picture(cropped) == pytest.approx(points, abs=1e-3)


def test_the_middle_of_the_box_is_the_middle_of_the_crop() -> None:
    placement = place_crops(BOX, CropSpec())
    assert placement.to_picture(np.array([[[96, 128]]], np.float32))[0, 0].tolist() == [150, 150]


def test_the_crop_shows_the_box_with_its_padding_in_its_own_shape() -> None:
    placement = place_crops(BOX, CropSpec(padding=1.25))
    corners = placement.to_picture(np.array([[[0, 0], [192, 256]]], np.float32))[0]
    width, height = corners[1] - corners[0]
    assert height == pytest.approx(200 * 1.25)
    assert width == pytest.approx(200 * 1.25 * 192 / 256)


def test_a_wide_box_grows_in_height() -> None:
    placement = place_crops(np.array([[0, 0, 300, 100]], np.float32), CropSpec(padding=1.0))
    corners = placement.to_picture(np.array([[[0, 0], [192, 256]]], np.float32))[0]
    assert (corners[1] - corners[0]).tolist() == pytest.approx([300, 400])


def test_an_empty_box_still_has_a_crop() -> None:
    placement = place_crops(np.array([[10, 10, 10, 10]], np.float32), CropSpec())
    assert np.isfinite(placement.scales).all()


def test_no_boxes_have_no_crops() -> None:
    assert place_crops(np.zeros((0, 4), np.float32), CropSpec()).scales.shape == (0, 2)


def test_what_lies_outside_the_picture_is_black() -> None:
    placement = place_crops(np.array([[-50, -50, 50, 50]], np.float32), CropSpec(padding=1.0))
    image = np.full((100, 100, 3), 200, np.uint8)
    crop = cut_crop(image, placement.scales[0], placement.offsets[0], CropSpec(padding=1.0))
    assert crop.shape == (256, 192, 3)
    assert crop[10, 10].tolist() == [0, 0, 0]
    assert crop[200, 150].tolist() == [200, 200, 200]
