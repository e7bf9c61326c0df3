"""Pure parts of the page: lists as they are shown, pictures of a rate, estimates. Each property holds for any input."""

from __future__ import annotations

import csv
import io
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from producer.coordinator.pace import EARLY_SECONDS, Sample, Window
from producer.coordinator.tally import progress
from producer.intake.endpoints import parse_endpoint
from producer.web.pages.plot import HEIGHT, MOST, WIDTH, plot, thinned
from producer.web.pages.sheet import ENCODINGS, FIELDS, Choice, Preview, look, typed
from shared.model import Endpoint, Import, Tally, Tls
from shared.model.lifecycle import ImportState, MailboxState, Outcome

SECRET = "Pa55-w0rd-canary"
CHOICES = st.builds(
    Choice,
    encoding=st.sampled_from(("", *ENCODINGS)),
    separator=st.sampled_from(("", "comma", "semicolon", "tab")),
    first=st.sampled_from(("", "names", "mailbox")),
    fields=st.lists(st.sampled_from(("", *FIELDS)), max_size=5).map(tuple),
)


def _server(text: str) -> Endpoint:
    return parse_endpoint(text, side="source")


def _everything(preview: Preview) -> str:
    shown = [repr(preview.lines), repr(preview.headings), repr(preview.errors), repr(preview.warnings)]
    return " ".join([*shown, repr(preview.choice)])


@given(choice=CHOICES, header=st.booleans(), separator=st.sampled_from(",;\t"), extra=st.integers(0, 3))
def test_no_password_is_shown_however_the_list_is_read(
    choice: Choice, header: bool, separator: str, extra: int
) -> None:
    rows = [["anna@old.example", SECRET, *["x"] * extra], ["bert@old.example", SECRET, *["y"] * extra]]
    data = [["login", "password", *[f"c{at}" for at in range(extra)]], *rows] if header else rows
    text = "".join(separator.join(row) + "\n" for row in data)
    told = _everything(look(text.encode(), choice, _server))
    opened = [at for at, field in enumerate(choice.fields) if field not in ("", "password", "new_password")]
    # The operator may call the password column something else, and is then shown what stands in it.
    assert (
        SECRET not in told
        or 1 in opened
        or choice.separator not in ("", {",": "comma", ";": "semicolon"}.get(separator, "tab"))
    )


@given(data=st.binary(max_size=300), choice=CHOICES)
def test_any_bytes_are_looked_over(data: bytes, choice: Choice) -> None:
    preview = look(data, choice, _server)
    assert preview.manifest is not None or preview.errors
    assert all(len(line.cells) == len(preview.choice.fields) for line in preview.lines)


def test_a_url_with_a_password_is_not_shown() -> None:
    preview = look(
        f"login,password,server\na@b.example,{SECRET},imaps://u:{SECRET}@h.example\n".encode(), Choice(), _server
    )
    assert preview.lines
    assert SECRET not in repr(preview.lines)


@given(st.lists(st.lists(st.text(max_size=20), min_size=4, max_size=4), max_size=6))
def test_what_was_typed_is_read_back(rows: list[list[str]]) -> None:
    data = typed(rows)
    filled = [[cell.replace("\r", "").replace("\n", "") for cell in row] for row in rows if any(c.strip() for c in row)]
    read = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogatepass"), newline="")))
    assert read[1:] == filled


def _risen(steps: list[tuple[float, int]]) -> list[list[float]]:
    times, counts = accumulate(step for step, _ in steps), accumulate(number for _, number in steps)
    return [[at, done, done * 1000] for at, done in zip(times, counts, strict=True)]


SAMPLES = st.lists(st.tuples(st.floats(0.01, 600), st.integers(0, 10**5)), max_size=300).map(_risen)


@given(SAMPLES)
def test_a_picture_stays_in_its_frame(samples: list[list[float]]) -> None:
    found = plot(samples)
    if found is None:
        return
    points = [tuple(map(float, point.split(","))) for point in found.line[1:].split(" L")]
    assert all(-0.05 <= x <= WIDTH + 0.05 and -0.05 <= y <= HEIGHT + 0.05 for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert 0 <= found.mean <= found.most * (1 + 1e-9)
    assert found.begin < found.end
    assert found.most <= found.top * (1 + 1e-6) <= 2.5 * found.most * (1 + 1e-6)
    assert 0 < len(found.columns) <= 40
    assert all(
        one.x >= 0 and one.x + one.width <= WIDTH + 0.2 and one.rate <= found.top * 1.001 for one in found.columns
    )


@given(SAMPLES)
def test_samples_are_thinned_and_keep_both_ends(samples: list[list[float]]) -> None:
    found = thinned(samples)
    assert len(found) <= max(MOST, len(samples) // 2 + 1)
    assert not samples or (found[0], found[-1]) == (samples[0], samples[-1])


@given(
    steps=st.lists(st.tuples(st.floats(0.5, 30), st.integers(0, 5000)), min_size=1, max_size=80),
    left=st.integers(1, 10**6),
)
def test_an_estimate_is_a_range_that_holds_the_mean_and_is_never_negative(
    steps: list[tuple[float, int]], left: int
) -> None:
    window, at, done = Window().with_sample(Sample(at=0, messages=0, size_bytes=0)), 0.0, 0
    for seconds, messages in steps:
        at, done = at + seconds, done + messages
        window = window.with_sample(Sample(at=at, messages=done, size_bytes=done * 1000))
    end = Endpoint(host="h", port=993, tls=Tls.IMPLICIT)
    import_ = Import(import_id="i", name="n", source=end, destination=end, state=ImportState.RUNNING)
    counts = Tally(
        outcomes={Outcome.COPIED: done}, messages=done + left, size_bytes=(done + left) * 1000, done_bytes=done * 1000
    )
    known = progress(import_, counts, {MailboxState.COPYING: 1}, window)
    found = known.eta_range
    assert (found is None) == (known.eta_seconds is None)
    if found:
        assert 0 <= found[0] <= known.eta_seconds <= found[1]  # type: ignore[operator]
    elif window.seconds >= EARLY_SECONDS:
        assert window.messages_per_second == 0


def test_a_steady_rate_is_estimated_within_a_tenth() -> None:
    window = Window()
    for second in range(61):
        window = window.with_sample(Sample(at=second, messages=second * 10, size_bytes=second * 10_000))
    end = Endpoint(host="h", port=993, tls=Tls.IMPLICIT)
    import_ = Import(import_id="i", name="n", source=end, destination=end, state=ImportState.RUNNING)
    counts = Tally(outcomes={Outcome.COPIED: 600}, messages=1600, size_bytes=1_600_000, done_bytes=600_000)
    found = progress(import_, counts, {MailboxState.COPYING: 1}, window).eta_range
    assert found is not None
    assert 85 <= found[0] <= 100 <= found[1] <= 115
