"""A new job in a browser: from a text or a file to the job."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from browsers import screenshot, tab, violations
from qiosk.contract.jobs import JobQuery, JobView
from servers import MemoryParts

NEW = "/ui/w/default/new"
QUBO = "p qubo 0 3 2 2\n0 0 -1\n2 2 1.5\n0 2 2\n1 2 4\n"


def only_job(memory: MemoryParts) -> JobView:
    (job,) = memory.jobs("default").page(JobQuery()).items
    return job


def test_a_pasted_problem_becomes_a_job(browser: Browser, url: str, memory: MemoryParts) -> None:
    with tab(browser, url) as page:
        page.goto(NEW)
        page.get_by_label("Or its text").fill(QUBO)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Problem")).to_be_visible()
        page.get_by_role("textbox", name="Name").fill("by hand")
        page.get_by_text("Other targets").click()
        page.get_by_role("radio", name="Tabu search microsoft.tabu.cpu").check()
        sweeps = page.get_by_role("textbox", name="sweeps")
        sweeps.fill("many")
        expect(page.get_by_role("textbox", name="Name")).to_have_value("by hand")
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_text("parameter `sweeps`: must be an integer")).to_be_visible()
        sweeps.fill("20")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/jobs/*")
    job = only_job(memory)
    assert page.url.endswith(job.id)
    assert (job.name, job.target, job.input_params) == ("by hand", "microsoft.tabu.cpu", {"params": {"sweeps": 20}})


def test_a_view_can_be_reloaded_after_another_target_was_chosen(browser: Browser, url: str) -> None:
    with tab(browser, url) as page:
        page.goto(NEW)
        page.get_by_role("button", name="Ship loading").click()
        page.get_by_role("textbox", name="seed").fill("5")
        page.get_by_text("Other targets").click()
        limit = page.get_by_role("textbox", name="Time limit")
        expect(limit).to_have_attribute("placeholder", "30 s")
        limit.fill("7")
        page.get_by_role("radio", name="Quantum Monte Carlo").check()
        expect(page.get_by_role("textbox", name="trotter_number")).to_be_visible()
        expect(page.get_by_role("textbox", name="seed")).to_have_value("5")
        expect(limit).to_have_attribute("placeholder", "none")
        expect(limit).to_have_value("7")
        assert "target=microsoft.qmc.cpu" in page.url
        assert "csrf" not in page.url
        page.reload()
        expect(page.get_by_role("textbox", name="trotter_number")).to_be_visible()
        expect(page.get_by_role("textbox", name="seed")).to_have_value("5")


def test_a_file_is_uploaded(browser: Browser, url: str, memory: MemoryParts) -> None:
    file = {"name": "made.qubo", "mimeType": "text/plain", "buffer": QUBO.encode()}
    with tab(browser, url) as page:
        page.goto(NEW)
        page.get_by_label("A file").set_input_files(files=[file])
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/jobs/*")
    assert only_job(memory).name == "made"


def test_a_job_is_duplicated_with_another_seed(browser: Browser, url: str, memory: MemoryParts) -> None:
    with tab(browser, url) as page:
        page.goto(NEW)
        page.get_by_role("button", name="Independent set").click()
        page.get_by_role("textbox", name="seed").fill("1")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/jobs/*")
        first = only_job(memory)
        page.get_by_role("link", name="Duplicate").click()
        expect(page.get_by_role("textbox", name="seed")).to_have_value("1")
        page.get_by_role("textbox", name="seed").fill("2")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url(lambda at: "/jobs/" in at and first.id not in at)
    second = next(job for job in memory.jobs("default").page(JobQuery()).items if job.id != first.id)
    assert second.input_params == {"params": {"seed": 2}}
    assert second.input_data_uri == first.input_data_uri


def test_without_scripts_a_button_shows_the_parameters(browser: Browser, url: str) -> None:
    with tab(browser, url, java_script_enabled=False) as page:
        page.goto(NEW)
        page.get_by_role("button", name="Independent set").click()
        page.get_by_text("Other targets").click()
        page.get_by_role("radio", name="Quantum Monte Carlo").check()
        page.get_by_role("button", name="Show its parameters").click()
        expect(page.get_by_role("textbox", name="trotter_number")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_everybody_can_use_the_form(browser: Browser, url: str, width: int, scheme: str) -> None:
    with tab(browser, url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        page.goto(NEW)
        page.get_by_text("More", exact=True).click()
        for name in ("problem", "job", "wrong"):
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            screenshot(page, f"new-{name}-{scheme}-{width}")
            if name == "problem":
                page.get_by_role("button", name="Max-cut").click()
                page.get_by_text("Tags, priority, session").click()
                page.get_by_text("Other targets").click()
                page.get_by_role("radio", name="Population annealing microsoft.populationannealing.cpu").check()
                expect(page.get_by_role("textbox", name="population")).to_be_visible()
            elif name == "job":
                page.get_by_role("textbox", name="population").fill("x" * 300)
                page.get_by_role("button", name="Submit").click()
                expect(page.get_by_text("must be an integer")).to_be_visible()
