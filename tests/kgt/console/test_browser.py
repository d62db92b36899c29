"""The console in Chromium, as a person uses it: with a mouse, with a keyboard, and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kgt.client import Client
from testbed.chromium import NoChromium, chromium
from tests.kgt.console.window import AXE, Window, axe_source, console
from tests.rpc.running import FEED

pytestmark = pytest.mark.story
USER = "wanda"
SCRIPT = "<script>window.hacked=1</script>"
IMAGE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def window(service: str) -> Iterator[Window]:
    try:
        with console(service, USER) as url, chromium(1280, 900) as driver:
            driver.set_page_load_timeout(60)
            driver.set_script_timeout(60)
            yield Window(driver, url)
    except NoChromium as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def axe() -> str:
    source = axe_source()
    if source is None:
        pytest.skip(f"npm does not have axe-core@{AXE}")
    return source


@pytest.fixture
def known(service: str) -> Iterator[None]:
    """Something that is known about the user, and of which a part is markup."""
    with Client(service) as kgt:
        kgt.personalize(user=USER, query=FEED, answer="carrots")
        kgt.learn(user=USER, text="My dog is named Rex.")
        kgt.edit_facts(user=USER, add=[("dog", f"is {IMAGE} of", SCRIPT), ("I", "has a", IMAGE)])
        yield
        kgt.erase_user(user=USER)


def errors(window: Window) -> list[str]:
    """What the browser's console complains about, such as the page's own policy."""
    return [
        entry["message"]
        for entry in window.driver.get_log("browser")
        if entry["source"] != "network"  # a refusal's status is no fault
    ]


def test_tell_ask_correct_see_why_undo_and_erase(window: Window) -> None:
    window.opens("/")
    assert "Nothing yet" in window.text
    window.writes("#text", "My dog is named Rex.")
    window.presses("Tell")
    window.comes("Learned")
    assert "my dog is named Rex" in window.text
    assert window.driver.current_url == f"{window.url}/", "the page was not left"

    window.follows("Ask")
    window.comes("Ask")
    window.writes("#query", FEED)
    window.presses("Ask")
    window.comes("meat")
    window.writes("#answer", "carrots")
    window.presses("Correct")
    window.comes("Corrected")
    window.presses("Ask it again")
    window.comes("carrots")

    window.follows("Facts")
    window.comes("What KGT knows about you")
    # The newest fact of the first group is the correction's.
    assert "carrots" in window.one(".fact").text
    window.presses("Why?")
    window.sees(lambda: FEED in window.one(".because").text, "the question that taught it")
    assert "comes up when asked" in window.text
    window.presses("Undo")
    window.comes("Undone")
    window.follows("All that KGT knows about you")
    window.comes("What KGT knows about you")
    assert "carrots" not in window.text
    assert "is named\nRex" in window.text

    window.follows("Your data")
    window.comes("Your data")
    window.writes("#confirmation", "somebody")
    window.presses("Erase")
    window.sees(lambda: "Nothing was erased" in window.text, "the refusal")
    window.writes("#confirmation", USER)
    window.presses("Erase")
    window.comes("Everything is erased")
    window.follows("Start again")
    window.sees(lambda: "Nothing yet" in window.text, "an empty page")
    assert errors(window) == []


@pytest.mark.usefixtures("known")
def test_the_graph_shows_texts_as_text_in_the_colours_of_origin(window: Window) -> None:
    window.opens("/?about=dog")
    window.sees(lambda: bool(window.all(".graph canvas")), "the graph to be drawn")
    labels = window.run(
        "return document.querySelector('.graph')._cyreg.cy.elements().map(e => e.data('label'))"
    )
    assert {"dog", "carrots", "Rex", SCRIPT, f"is {IMAGE} of", "desires", "is named"} <= set(labels)
    colours = window.run(
        "return document.querySelector('.graph')._cyreg.cy.edges()"
        ".map(e => [e.data('origin'), e.style('line-color')])"
    )
    assert set(map(tuple, colours)) == {
        ("yours", "rgb(30,142,62)"), ("removed", "rgb(217,48,37)"), ("shared", "rgb(196,196,191)"),
    }  # fmt: skip
    # Where the mouse is, a tooltip says what is drawn.
    x, y = window.run(
        "const cy = document.querySelector('.graph')._cyreg.cy;"
        "const at = cy.nodes().filter(n => n.data('label') === arguments[0]).renderedPosition();"
        "const box = document.querySelector('.graph').getBoundingClientRect();"
        "return [box.x + at.x, box.y + at.y]",
        SCRIPT,
    )
    moved = {"type": "mouseMoved", "x": x, "y": y}
    window.driver.execute_cdp_cmd("Input.dispatchMouseEvent", moved)
    window.sees(lambda: window.one(".tip").text == SCRIPT, "the tooltip")
    assert window.all("main script, main img") == []
    assert window.run("return window.hacked") is None
    assert errors(window) == []


@pytest.mark.usefixtures("known")
def test_another_subject_is_drawn_without_leaving_the_page(window: Window) -> None:
    window.opens("/?about=dog")
    window.follows("Show graph")
    window.sees(lambda: window.one("#around-title").text == "Around you", "the user's graph")
    window.sees(lambda: bool(window.all(".graph canvas")), "the graph to be drawn")
    assert window.driver.current_url.endswith("/?about=dog")


@pytest.mark.usefixtures("known")
def test_everything_is_reached_with_the_keyboard(window: Window) -> None:
    window.opens("/")
    window.driver.switch_to.active_element.send_keys("\ue004")  # Tab
    assert window.driver.switch_to.active_element.text == "Skip to the content"
    summary = window.one(".fact summary")
    window.run("arguments[0].focus()", summary)
    summary.send_keys("\ue007")  # Enter
    assert window.one(".fact .because").is_displayed()
    window.writes("#text", "Hello!")
    window.one("#text").send_keys("\ue004\ue007")  # Tab, Enter: the first button
    window.comes("Nothing was learned")
    focused = window.driver.switch_to.active_element
    assert focused.text == "Nothing was learned", "a screen reader goes on at the result"


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_keeps_people_out(window: Window, axe: str, width: int, dark: bool) -> None:
    found = {}
    for path in ("/?about=dog", "/ask", "/history", "/data", "/service", "/nothing"):
        window.opens(path, width=width, dark=dark)
        window.run("for (const one of document.querySelectorAll('details')) one.open = true")
        found[path] = window.grave_faults(axe)
        assert window.run("return document.documentElement.scrollWidth") <= width, path
    window.opens("/ask", width=width, dark=dark)
    window.writes("#query", FEED)
    window.presses("Ask")
    window.comes("carrots")
    found["answer"] = window.grave_faults(axe)
    window.writes("#answer", "fish")
    window.presses("Try first")
    window.comes("This is what would change")
    found["correction"] = window.grave_faults(axe)
    assert {path: faults for path, faults in found.items() if faults} == {}
