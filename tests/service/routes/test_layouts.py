from pipeline.layouts import LAYOUTS


def test_every_layout_is_listed_with_its_joints_and_limbs(client):
    layouts = {one["name"]: one for one in client.get("/v1/layouts").json()["layouts"]}
    assert list(layouts) == list(LAYOUTS)
    for name, layout in LAYOUTS.items():
        assert tuple(layouts[name]["joints"]) == layout.joints
        limbs = {(layouts[name]["joints"][a], layouts[name]["joints"][b]) for a, b in layouts[name]["limbs"]}
        assert limbs == set(layout.bones)


def test_the_keypoints_of_an_answer_have_a_listed_layout(client, video):
    answer = client.post(
        "/v1/recognize",
        content=video,
        headers={"Content-Type": "application/octet-stream"},
        params={"keypoints": "1"},
    ).json()
    keypoints = answer["tracks"][0]["keypoints"]
    layouts = {one["name"]: one for one in client.get("/v1/layouts").json()["layouts"]}
    assert len(layouts[keypoints["layout"]]["joints"]) == len(keypoints["points"][0])
