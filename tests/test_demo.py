"""The local page of ``harness demo``: limits, bad uploads, and the page in a browser."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.api import RestoreRequest
from harness.cli.demo.command import bound_socket, is_loopback
from harness.cli.demo.jobs import Jobs
from harness.config.errors import UsageError
from harness.evaluation.restorer import Restorer
from tests.conftest import Run
from tests.networks import TASKS, build_tiny

pytest.importorskip("starlette", reason="the demo's packages are not installed")
from starlette.testclient import TestClient

from harness.cli.demo.app import Limits, make_app

CPU = torch.device("cpu")
OWN = {"X-Harness-Demo": "1"}
DEADLINE_S = 60.0


def restorers() -> dict[str, Restorer]:
    load = {}
    for level in ("level1", "level2", "level3"):
        load[level] = {task: [0.2] * 5 for task in TASKS}
    prompted = Restorer(build_tiny("promptir").eval(), "prompted", TASKS, False, CPU, load)
    plain = Restorer(build_tiny("degraded-input").eval(), "plain", TASKS, False, CPU)
    return {"prompted": prompted, "plain": plain}


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    made = Jobs(restorers(), RestoreRequest(inputs=(), output=Path()))
    yield made
    made.close()


@pytest.fixture
def client(jobs: Jobs) -> TestClient:
    app = make_app(jobs, Limits(megabytes=0.05, megapixels=0.01), ["testserver"])
    return TestClient(app)


def image_bytes(side: int = 40, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def post(client: TestClient, content: bytes, headers: dict[str, str] = OWN, **query: str) -> Any:
    asked = {"method": "prompted", "name": "my photo.png", **query}
    return client.post("/jobs", params=asked, content=content, headers=headers)


def finished(client: TestClient, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        job = client.get(f"/jobs/{job_id}").json()
        if job["state"] in {"done", "failed"}:
            return dict(job)
        time.sleep(0.02)
    raise AssertionError("the restoration did not end")


def test_an_image_is_restored_and_shown(client: TestClient) -> None:
    answer = post(client, image_bytes(), prompt="derain")
    assert answer.status_code == 202
    job_id = answer.json()["id"]
    job = finished(client, job_id)
    assert job["state"] == "done"
    assert job["fraction"] == 1
    assert any("--prompt derain" in fact for fact in job["facts"])
    assert "filename" in client.get(f"/jobs/{job_id}/result").headers["content-disposition"]
    before = Image.open(io.BytesIO(client.get(f"/jobs/{job_id}/before.png").content))
    after = Image.open(io.BytesIO(client.get(f"/jobs/{job_id}/after.png").content))
    assert np.array_equal(np.asarray(before), np.asarray(Image.open(io.BytesIO(image_bytes()))))
    assert after.size == before.size


def test_the_result_has_the_format_of_the_upload_and_a_safe_name(client: TestClient) -> None:
    answer = post(client, image_bytes(kind="TIFF"), name="../../etc/pass\r\nwd.png", method="plain")
    job_id = answer.json()["id"]
    assert finished(client, job_id)["name"] == "pass__wd-restored.tif"
    result = client.get(f"/jobs/{job_id}/result")
    assert Image.open(io.BytesIO(result.content)).format == "TIFF"


@pytest.mark.parametrize(
    ("content", "query", "status", "sentence"),
    [
        (b"", {}, 400, "the file is empty"),
        (b"<html>", {}, 415, "the file cannot be decoded"),
        (image_bytes()[:20], {}, 415, "cannot be decoded"),
        (image_bytes(120), {}, 413, "more than the 0.01 megapixels"),
        (bytes(60_000), {}, 413, "more than 0.05 MB"),
        (image_bytes(), {"method": "none"}, 400, "no method 'none'"),
        (image_bytes(), {"prompt": "derian"}, 400, "did you mean 'derain'"),
        (image_bytes(), {"prompt": "derain", "method": "plain"}, 400, "no prompts that could be"),
    ],
    ids=["empty", "text", "cut", "pixels", "bytes", "method", "prompt", "no-prompts"],
)
def test_bad_uploads_are_answered_by_a_sentence(
    client: TestClient, content: bytes, query: dict[str, str], status: int, sentence: str
) -> None:
    answer = post(client, content, **query)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert "/tmp" not in answer.json()["error"]


def test_an_upload_of_unstated_length_is_cut_off(client: TestClient) -> None:
    parts = (bytes(10_000) for _ in range(100))
    answer = client.post("/jobs", params={"method": "plain"}, content=parts, headers=OWN)
    assert answer.status_code == 413


def test_a_truncated_image_fails_with_its_reason(client: TestClient) -> None:
    job_id = post(client, image_bytes(kind="JPEG")[:-300], method="plain").json()["id"]
    job = finished(client, job_id)
    assert job["state"] == "failed"
    assert "cannot be decoded" in job["error"]
    assert "/tmp" not in job["error"]
    assert client.get(f"/jobs/{job_id}/result").status_code == 404


def test_other_pages_and_other_names_are_refused(client: TestClient) -> None:
    assert post(client, image_bytes(), headers={}).status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.options("/jobs", headers={"Origin": "http://evil"}).status_code == 405
    assert client.get("/jobs/unknown").status_code == 404
    assert client.get("/jobs/unknown/..%2f..%2fpasswd").status_code == 404


def test_every_answer_has_the_headers_that_keep_a_page_alone(client: TestClient) -> None:
    for path in ("/", "/style.css", "/script.js", "/methods", "/jobs/unknown"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    text = client.get("/").text + client.get("/style.css").text + client.get("/script.js").text
    assert "http://" not in text
    assert "https://" not in text


def test_one_image_at_a_time_and_few_that_wait() -> None:
    jobs = Jobs(restorers(), RestoreRequest(inputs=(), output=Path()), most_waiting=2)
    going = threading.Event()
    running: list[str] = []
    most: list[int] = []

    class Slow(torch.nn.Module):
        def restore(self, degraded: torch.Tensor, tasks: object = None) -> torch.Tensor:
            running.append("x")
            most.append(len(running))
            going.wait(DEADLINE_S)
            running.pop()
            return degraded

    jobs.restorers = {"slow": Restorer(Slow(), "slow", TASKS, False, CPU)}  # type: ignore[arg-type]
    client = TestClient(make_app(jobs, Limits(1, 1), ["testserver"]))
    ids = [post(client, image_bytes(), method="slow").json()["id"]]
    deadline = time.monotonic() + DEADLINE_S
    while not running and time.monotonic() < deadline:
        time.sleep(0.01)
    ids += [post(client, image_bytes(), method="slow").json()["id"] for _ in range(2)]
    assert client.get(f"/jobs/{ids[2]}").json()["ahead"] == 2
    full = post(client, image_bytes(), method="slow")
    assert full.status_code == 503
    assert "too many images wait" in full.json()["error"]
    going.set()
    assert [finished(client, one)["state"] for one in ids] == ["done"] * 3
    assert max(most) == 1
    jobs.close()


def test_flags_that_cannot_be_used(harness_command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    with pytest.raises(UsageError, match=r"cannot be used .*choose another --port"):
        bound_socket("127.0.0.1", port)
    taken.close()
    assert is_loopback("localhost")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    printed = harness_command("demo", "--run", "x")
    assert printed.returncode == 2
    assert "pip install 'restoration-harness[demo]'" in printed.stderr


# --- in a browser -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(jobs: Jobs) -> Iterator[str]:
    uvicorn = pytest.importorskip("uvicorn", reason="the demo's packages are not installed")
    listening = bound_socket("127.0.0.1", 0)
    app = make_app(jobs, Limits(10, 1), ["127.0.0.1"])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(DEADLINE_S)
    listening.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    opened = browser.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(address)
    opened.wait_for_selector("#method option:nth-child(2)", state="attached")
    opened.problems = problems
    yield opened
    opened.close()


def upload(page: Any, content: bytes, name: str = "photo.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
    page.click("#start")


def share(page: Any) -> float:
    text = page.evaluate("document.getElementById('compare').style.getPropertyValue('--share')")
    return float(text.removesuffix("%"))


def test_upload_compare_and_download(page: Any) -> None:
    upload(page, image_bytes(200))
    page.wait_for_selector("#result:not([hidden])")
    assert "Restored in" in page.text_content("#status")
    assert share(page) == 50
    box = page.locator("#slider").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    assert 70 < share(page) < 90
    page.locator("#slider").focus()
    moved = share(page)
    page.keyboard.press("ArrowLeft")
    assert share(page) == moved - 1
    page.keyboard.press("Home")
    assert share(page) == 0
    with page.expect_download() as waiting:
        page.click("#download")
    assert waiting.value.suggested_filename == "photo-restored.png"
    assert Image.open(waiting.value.path()).size == (200, 200)
    assert page.problems == []


def test_prompts_follow_the_method_and_errors_are_sentences(page: Any) -> None:
    prompts = "Array.from(document.getElementById('prompt').options).map(o => o.text)"
    assert page.evaluate(prompts) == ["chosen by the method", *TASKS]
    page.select_option("#method", "plain")
    assert page.evaluate(prompts) == ["none to choose"]
    page.click("#start")
    assert "no image is chosen" in page.text_content("#error")
    upload(page, b"<html>", "page.png")
    page.get_by_text("the file cannot be decoded").wait_for()
    assert page.is_hidden("#result")


def test_an_image_may_be_dropped_or_pasted(page: Any) -> None:
    script = """([kind, bytes]) => {
        const file = new File([new Uint8Array(bytes)], `${kind}.png`, {type: "image/png"});
        const data = new DataTransfer();
        data.items.add(file);
        const event = kind === "drop"
            ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
            : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
        document.getElementById("drop").dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(script, [kind, list(image_bytes())])
        assert f"{kind}.png" in page.text_content("#chosen")
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_and_nothing_overflows(page: Any, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    upload(page, image_bytes(200))
    page.wait_for_selector("#result:not([hidden])")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    widest = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(widest) <= 0
