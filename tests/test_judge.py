"""The judge against a real local server that parses what it is sent, and the study's numbers."""

import base64
import io
import json
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from itertools import product
from urllib.parse import quote

import pytest
from PIL import Image
from scipy.stats import binomtest

from identitystory.cli.main import main
from identitystory.errors import ConfigError, RunError
from identitystory.experiments import cases, study
from identitystory.experiments import judge as judging
from identitystory.experiments.cases import Case, find_cases
from identitystory.experiments.endpoint import MAX_WAIT, Judge, UnusableError, post
from identitystory.metrics import intervals
from identitystory.presets import PRESETS
from identitystory.protocols import ModelFacts
from identitystory.runs import files
from identitystory.runs import folder as runfolder
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.runs.told import make_record
from identitystory.story.file import inline_story

ASKED = tuple(study.CRITERIA.values())
METHODS = {"consistory": (200, 30, 30), "general": (30, 200, 30), "identitystory": (30, 30, 200)}
NASTY = '</script><img src=x onerror=alert(1)> & "Mara\'s" letter'


WEIGHTS = ModelFacts("w", "cpu", "float32")


@pytest.fixture
def runs(tmp_path):
    """Finished runs of three methods over three stories, told apart by colour."""
    root = tmp_path / "runs"
    for number, (method, colour) in product(range(3), METHODS.items()):
        paint(asked_for(root, method, number), tuple(c - 5 * number for c in colour))
    return root


def asked_for(root, method, number):
    scenes = [f"{{Mara}} reads {number}", f"{{Mara}} sees {NASTY}"]
    story = inline_story(["Mara: a woman"], scenes, title=f"Story {number}")
    return RunRequest(story, root / method / str(number), PRESETS["paper"], method=method)


def test_a_method_of_another_package_is_one_of_a_benchs(tmp_path, monkeypatch):
    """An ablation's variants beside them are none."""
    for variant in ("general", "one-noise", "start_4"):
        (tmp_path / "runs" / variant / "ida").mkdir(parents=True)
        (tmp_path / "runs" / variant / "ida" / "run.json").write_text("{}")
    monkeypatch.setattr(cases.REGISTRY, "names", lambda: (*cases.REGISTRY.own, "one-noise"))
    found = cases._folders([tmp_path])
    assert [folder.parent.name for folder in found] == ["general", "one-noise"]


def begin(request, facts=WEIGHTS):
    """The run's record alone, anew."""
    made = make_plan(request, facts, None)
    record = json.dumps(make_record(request, facts, made, {}))
    files.write_whole(runfolder.RunFolder(request.out).record, record.encode())
    return made


def paint(request, colour, facts=WEIGHTS):
    """The run's record and its pictures, each darker than the one before."""
    for index, part in enumerate(begin(request, facts).frames):
        image = Image.new("RGB", (64, 64), tuple(c - index for c in colour))
        files.write_png(runfolder.RunFolder(request.out).frame(index), image, part.facts())


CUT = b"ff\r\nnot 255 bytes"  # a chunk that ends too soon


class Server(ThreadingHTTPServer):
    """Scores an option by the colour of its pictures; ``plan`` may answer otherwise first."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.plan, self.after = [], [], None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        code, answer = self.server.plan.pop(0) if self.server.plan else (200, scored(body))
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        if self.server.after:
            self.send_header("Retry-After", self.server.after)
        if answer is CUT:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def options(body):
    """Letter -> its pictures, from the request alone."""
    found, letter = {}, None
    for item in json.loads(body)["messages"][1]["content"]:
        if item["type"] == "text" and item["text"].startswith("Option "):
            letter = item["text"][7]
        elif item["type"] == "image_url":
            head, data = item["image_url"]["url"].split(",")
            assert head == "data:image/jpeg;base64"
            found.setdefault(letter, []).append(Image.open(io.BytesIO(base64.b64decode(data))))
    return found


def scored(body):
    schema = json.loads(body)["response_format"]["json_schema"]["schema"]
    scores = {}
    for letter, pictures in options(body).items():
        assert letter in schema["required"]
        reds = pictures[0].getpixel((5, 5))
        scores[letter] = dict(zip(judging.CRITERIA, (c // 3 for c in reds), strict=True))
    return reply(json.dumps(scores))


@contextmanager
def serving():
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


@pytest.fixture
def server():
    with serving() as made:
        yield made


def reply(text):
    return {"choices": [{"message": {"content": text}}]}


def test_scores_find_their_way_back_to_the_methods_and_nothing_is_asked_twice(
    runs, server, tmp_path
):
    cases, _ = find_cases([runs])
    judge = Judge(server.url, "eye", key="secret")
    found = judging.ask(cases, judge, tmp_path / "out")
    means = judging.averages(found)
    best = dict(zip(METHODS, judging.CRITERIA, strict=True))
    for method, criterion in best.items():
        assert max(means, key=lambda m: means[m][criterion]) == method
        assert means[method][criterion] == pytest.approx((200 - 5) / 3, abs=2)
    assert len(server.asked) == 3
    assert {(path, key) for path, key, _ in server.asked} == {
        ("/v1/chat/completions", "Bearer secret")
    }
    assert judging.ask(cases, judge, tmp_path / "out") == found
    assert len(server.asked) == 3
    assert judging.cost(cases, judge, tmp_path / "out").requests == 0
    shown = judging.table(found)
    assert shown.head[1:] == [name.replace("_", " ") for name in judging.CRITERIA]
    assert {
        row[0]: dict(zip(judging.CRITERIA, row[1:], strict=True)) for row in shown.rows
    } == means


def test_the_question_is_blind_shuffled_and_carries_every_picture(runs, server, tmp_path):
    cases, _ = find_cases([runs])
    judging.ask(cases, Judge(server.url, "eye"), tmp_path / "out")
    for _, key, body in server.asked:
        assert key is None
        assert not any(method.encode() in body for method in METHODS)
        assert [len(some) for some in options(body).values()] == [2, 2, 2]
        for pictures in options(body).values():
            assert all("identitystory" not in image.info for image in pictures)
    orders = {tuple(judging.letters(c, seed).values()) for c in cases for seed in range(9)}
    assert len(orders) == 6


def test_failures_are_tried_again_and_refusals_are_not(runs, server, tmp_path):
    cases, _ = find_cases([runs])
    judge = Judge(server.url, "eye", wait=0.0, attempts=4)
    text = reply("I cannot do that")
    high = json.dumps({x: dict.fromkeys(judging.CRITERIA, 101) for x in "ABC"})
    server.plan = [
        (503, {}),
        (200, text),
        (200, reply(high)),
    ]
    judging.ask(cases[:1], judge, tmp_path / "out")
    assert len(server.asked) == 4
    server.plan = [(200, text)] * 4
    with pytest.raises(RunError, match="no usable answer after 4 attempts"):
        judging.ask(cases, judge, tmp_path / "out")
    for code in (401, 302):
        server.asked.clear()
        server.plan = [(code, {"error": "no"})]
        with pytest.raises(RunError, match=f"refuses .HTTP {code}."):
            judging.ask(cases, judge, tmp_path / "out")
        assert len(server.asked) == 1


def test_nothing_is_sent_where_answers_cannot_be_kept(runs, server, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    command = ["judge", str(runs), "--endpoint", server.url, "--judge-model", "eye", "--send"]
    assert main([*command, "--out", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert "so nothing was sent" in said
    assert "give another --out" in said
    assert server.asked == []
    cases, _ = find_cases([runs])
    judging.ask(cases, Judge(server.url, "eye"), tmp_path / "out")
    assert len(list((tmp_path / "out" / "answers").iterdir())) == len(server.asked) == 3


def test_the_text_that_is_sent_is_told_beside_the_pictures(runs, server, tmp_path):
    """Of each request all that is no picture, as the server got it."""
    cases, _ = find_cases([runs])
    judge = Judge(server.url, "eye")
    told = judging.cost(cases, judge, tmp_path / "out")
    judging.ask(cases, judge, tmp_path / "out")
    bare = 0
    for _, _, body in server.asked:
        sent = json.loads(body)
        parts = sent["messages"][1]["content"]
        sent["messages"][1]["content"] = [part for part in parts if part["type"] == "text"]
        bare += len(json.dumps(sent))
    assert told.characters == bare
    assert judging.cost(cases, judge, tmp_path / "out").characters == 0


def test_an_unencrypted_endpoint_elsewhere_is_refused():
    for url in ("http://example.org/v1", "file:///etc/passwd", "example.org"):
        with pytest.raises(ConfigError, match="the endpoint"):
            Judge(url, "eye")


def test_an_endpoint_that_no_request_can_be_sent_to_is_refused_in_one_line(capsys):
    for url in ("https://[abc/v1", "https://host:port/v1", "https://host/v\u00e9", "https://.org"):
        with pytest.raises(ConfigError, match="give a URL like https://host/v1"):
            Judge(url, "eye")
    with pytest.raises(ConfigError, match="without a user name") as caught:
        Judge("https://me:sesame@example.org/v1", "eye")
    assert "'***@example.org/v1'" in str(caught.value)


def test_a_key_that_is_none_is_refused_and_no_key_is_shown():
    for key in ("sesame\n", "sesame 2", "sesam\u00e9", "sesame\x7f", "sesame\x1b[0m"):
        with pytest.raises(ConfigError, match="the key holds a blank") as caught:
            Judge("https://example.org/v1", "eye", key)
        assert "sesam" not in str(caught.value)
    assert "sesame" not in repr(Judge("https://example.org/v1", "eye", "sesame"))


def test_no_word_of_an_endpoint_is_shown_for_it_may_be_the_key(runs, server, tmp_path, monkeypatch):
    """In no encoding, of no status, from no part of the reply."""
    cases, _ = find_cases([runs])
    judge = Judge(server.url, "eye", key="se/zam\\1", wait=0.0, attempts=1)
    spelt = [judge.key, quote(judge.key, safe=""), json.dumps(judge.key)[1:-1], judge.key[::-1]]
    spelt += [base64.b64encode(judge.key.encode()).decode(), judge.key.encode().hex()]
    scores = {x: dict.fromkeys(judging.CRITERIA, judge.key) for x in "ABC"}
    echoes = [(code, f"bad key {said}".encode()) for code in (401, 400, 503, 200) for said in spelt]
    echoes += [(200, reply(json.dumps(scores))), (200, {judge.key: 1}), (200, reply(judge.key))]
    for echo in echoes:
        server.plan = [echo]
        with pytest.raises(RunError) as caught:
            judging.ask(cases, judge, tmp_path / "out")
        assert not any(said in str(caught.value) for said in ("zam", *spelt))
        assert "bad key" not in str(caught.value)
        assert str(caught.value).isprintable()
    assert {key for _, key, _ in server.asked} == {f"Bearer {judge.key}"}
    monkeypatch.setattr(Handler, "do_POST", lambda self: self.wfile.write(b"bad key sezam\r\n"))
    with pytest.raises(RunError, match=r"speaks no HTTP .BadStatusLine") as caught:
        judging.ask(cases, judge, tmp_path / "out")
    assert "sezam" not in str(caught.value)


def test_an_answer_that_drips_has_one_deadline_for_all_of_it(runs, server, tmp_path, monkeypatch):
    def drip(self):
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            for _ in range(200):
                self.wfile.write(b" ")
                time.sleep(0.05)

    monkeypatch.setattr(Handler, "do_POST", drip)
    cases, _ = find_cases([runs])
    judge = Judge(server.url, "eye", wait=0.0, attempts=2, timeout=0.3)
    start = time.monotonic()
    with pytest.raises(RunError, match=r"no whole answer within 0.3 s"):
        judging.ask(cases, judge, tmp_path / "out")
    assert time.monotonic() - start < 5


def test_a_busy_endpoint_is_left_alone_as_long_as_it_asks_but_not_for_ever(monkeypatch, tmp_path):
    slept, waits = [], [0.0, 7.0, 1e9]

    def post(judge, body):
        raise UnusableError("HTTP 429", waits.pop(0) if waits else 0.0)

    monkeypatch.setattr(judging, "post", post)
    monkeypatch.setattr(judging, "question", lambda *_: {})
    monkeypatch.setattr(judging.time, "sleep", slept.append)
    with pytest.raises(RunError, match="HTTP 429"):
        judging._ask_one(Case("k", "t", (), {}), Judge("https://h/v1", "eye", wait=1.0))
    assert slept == [1.0, 7.0, 1e9, 8.0]


def test_the_wish_to_wait_is_read_as_a_number_or_a_date_and_bounded(server):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    found = {}
    for wish in ("7", soon, "9" * 400, "-3", "soon", None):
        server.plan = [(429, {})]
        server.after = wish
        with pytest.raises(UnusableError) as caught:
            post(Judge(server.url, "eye"), b"{}")
        found[wish] = caught.value.wait
    assert [found[w] for w in ("7", "9" * 400, "soon", None)] == [7.0, MAX_WAIT, 0.0, 0.0]
    assert 25 < found[soon] <= 30


def test_no_proxy_hears_what_is_for_this_machine(runs, server, tmp_path, monkeypatch):
    cases, _ = find_cases([runs])
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        judging.ask(cases[:1], Judge(server.url, "eye", "secret"), tmp_path / "out")
    assert [len(server.asked), len(proxy.asked)] == [1, 0]


def test_a_refusal_that_breaks_off_is_asked_again(runs, server, tmp_path):
    cases, _ = find_cases([runs])
    server.plan = [(400, CUT), (200, CUT)]
    judge = Judge(server.url, "eye", wait=0.0, attempts=3)
    assert list(judging.ask(cases[:1], judge, tmp_path / "out")) == [cases[0].key]
    assert len(server.asked) == 3


def test_answers_of_every_model_seed_and_endpoint_are_kept_side_by_side(runs, server, tmp_path):
    cases, _ = find_cases([runs])
    with serving() as other:
        judges = [
            Judge(server.url, "eye"),
            Judge(server.url, "nose"),
            Judge(server.url, "eye", seed=1),
            Judge(other.url, "eye"),
        ]
        for judge in judges * 2:
            judging.ask(cases[:1], judge, tmp_path / "out")
        assert [len(server.asked), len(other.asked)] == [3, 1]
    files = list((tmp_path / "out" / "answers").iterdir())
    records = [json.loads(file.read_text()) for file in files]
    assert [file.stem for file in files] == [record["key"] for record in records]
    kept = [(record["endpoint"], record["model"]) for record in records]
    assert sorted(kept) == sorted((judge.endpoint, judge.model) for judge in judges)


def test_a_damaged_answer_is_asked_for_again(runs, server, tmp_path):
    cases, _ = find_cases([runs])
    judge = Judge(server.url, "eye")
    found = judging.ask(cases[:1], judge, tmp_path / "out")
    (file,) = (tmp_path / "out" / "answers").iterdir()
    whole = json.loads(file.read_text())
    low = {m: dict.fromkeys(judging.CRITERIA, -1) for m in METHODS}
    damaged = [None, [], {"general": {}}, low, dict.fromkeys(METHODS, 5)]
    for scores in damaged:
        file.write_text(json.dumps(whole | {"scores": scores}))
        assert judging.ask(cases[:1], judge, tmp_path / "out") == found
    file.write_text("[" * 100_000)
    assert judging.ask(cases[:1], judge, tmp_path / "out") == found
    assert len(server.asked) == 1 + len(damaged) + 1


def test_the_command_shows_the_cost_and_sends_nothing_until_told(runs, server, tmp_path, capsys):
    command = ["judge", str(runs), "--endpoint", server.url, "--judge-model", "eye"]
    command += ["--out", str(tmp_path / "out"), "--key-variable", "NO_SUCH_KEY"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 requests with 18 pictures" in said
    assert "characters of text to" in said
    assert "--send" in said
    assert server.asked == []
    assert main([*command, "--send"]) == 0
    assert "identitystory" in capsys.readouterr().out
    assert len(server.asked) == 3


# --- The study ------------------------------------------------------------------------------------


def answers(key, people, *, prefer):
    """Answer files: everybody chooses ``prefer[criterion]`` everywhere."""
    for n in range(people):
        chosen = {
            group: {c: next(t for t, m in options.items() if m == prefer[c]) for c in prefer}
            for group, options in key["groups"].items()
        }
        yield {"study": key["study"], "participant": f"p{n}", "answers": chosen}


def test_the_page_is_one_blind_file_and_says_texts_as_text(runs, tmp_path):
    cases, _ = find_cases([runs])
    page = tmp_path / "study.html"
    key = json.loads(study.make(cases, page, groups=2, seed=0).read_text())
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert text.count("</script>") == 1
    assert text.count("&lt;/script&gt;") > 0
    assert not any(method in text for method in METHODS)
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<section") == 2
    assert text.count("data:image/jpeg;base64,") == 2 * 3 * 2
    assert text.count(" alt=") == 12
    assert len({t for options in key["groups"].values() for t in options}) == 6
    assert page.read_bytes() == _again(cases, tmp_path / "again.html", seed=0)


def _again(cases, page, seed=None):
    study.make(cases, page, groups=2, seed=seed)
    return page.read_bytes()


def test_names_of_options_cannot_be_undone_without_the_key_and_a_key_makes_its_page_again(
    runs, tmp_path
):
    cases, _ = find_cases([runs])
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    first, second = (_again(cases, page) for page in pages)
    assert first != second
    assert _again(cases, pages[0]) == first
    keys = [json.loads(page.with_suffix(".key.json").read_text()) for page in pages]
    assert len({key["salt"] for key in keys}) == 2
    assert all(len(key["salt"]) == 32 for key in keys)
    assert not any(key["salt"].encode() in page for key in keys for page in (first, second))
    tokens = [{t for some in key["groups"].values() for t in some} for key in keys]
    assert not tokens[0] & tokens[1]
    assert keys[0]["titles"] == keys[1]["titles"]  # the draw is the same


def test_a_study_of_other_pictures_or_methods_is_another_study(runs, tmp_path):
    def made(paths):
        (tmp_path / "study.key.json").unlink(missing_ok=True)
        cases, _ = find_cases(paths)
        return json.loads(study.make(cases, tmp_path / "study.html", seed=0).read_text())["study"]

    first = made([runs])
    fewer = made([runs / "general", runs / "consistory"])
    paint(asked_for(runs, "general", 1), (200, 200, 200))
    names = [first, fewer, made([runs])]
    assert len({*names}) == 3
    assert made([runs]) == names[2]
    paint(asked_for(runs, "general", 1), (9, 9, 9))
    key = (tmp_path / "study.key.json").read_bytes()
    with pytest.raises(ConfigError, match="key of a study of other pictures"):
        study.make(find_cases([runs])[0], tmp_path / "study.html", seed=0)
    assert (tmp_path / "study.key.json").read_bytes() == key


class Page(HTMLParser):
    """Language, texts of the legends, and alternative texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.lang, self.legends, self.alts, self.inside = None, [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "html":
            self.lang = given.get("lang")
        if tag == "img":
            self.alts.append(given.get("alt"))
        if tag == "legend":
            self.inside = True
            self.legends.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "legend"

    def handle_data(self, data):
        if self.inside:
            self.legends[-1] += data


def test_who_listens_to_the_page_knows_which_story_a_question_is_about(runs, tmp_path):
    cases, _ = find_cases([runs])
    page = Page(_again(cases, tmp_path / "study.html").decode())
    assert page.lang == "en"
    assert page.legends == [f"Story {n}: {asked}" for n in (1, 2) for asked in ASKED]
    assert len(set(page.legends)) == 6
    assert len(page.alts) == 12
    assert all(page.alts)


STUB = """
const store = { ...JSON.parse(process.argv[2]) };
globalThis.sessionStorage = {
  getItem: (k) => store[k] ?? null, setItem: (k, v) => { store[k] = v; } };
const kinds = (tag) => all.filter((e) => e.tag === tag);
const all = [];
class Element {
  constructor(tag, dataset = {}) {
    this.tag = tag; this.dataset = dataset; this.children = []; this.heard = {}; all.push(this); }
  append(...more) {
    for (const e of more) {
      if (typeof e === "string") continue;
      if (e.parent) e.parent.children = e.parent.children.filter((c) => c !== e);
      e.parent = this; this.children.push(e); } }
  under() { return this.children.flatMap((c) => [c, ...c.under()]); }
  querySelectorAll(what) {
    const [tag, state] = what.split(":");
    const fits = (e) => "." + e.name_ === tag || e.tag === tag;
    return this.under().filter((e) => fits(e) && (!state || e.checked)); }
  querySelector(what) { return this.querySelectorAll(what)[0]; }
  setAttribute() {}
  addEventListener(kind, heard) { this.heard[kind] = heard; }
}
const make = (tag, name, dataset, ...inside) => {
  const e = new Element(tag, dataset); e.name_ = name; e.append(...inside); return e; };
const option = (token) => make("div", "option", { token }, make("h3"), make("img"));
const question = (criterion) => make("fieldset", "", { criterion }, make("div", "choices"));
const form = make("form", "", { study: "s" }, make("section", "", { group: "g0" },
  make("div", "options", {}, ..."abcdefgh".split("").map(option)), question("q"), question("r")));
const status = make("p");
globalThis.document = {
  getElementById: (id) => (id === "form" ? form : status), createElement: (t) => make(t) };
require("vm").runInThisContext(process.argv[1 + 2]);
const order = form.querySelectorAll(".option").map((e) => e.dataset.token).join("");
const at = form.querySelectorAll("input:checked").map((e) => e.name + "=" + e.value);
const shown = { order, at, said: status.textContent };
const pick = form.querySelectorAll("input").find((e) => e.name === "g0/r" && e.value === "c");
form.heard.change({ target: pick });
console.log(JSON.stringify({ shown, store }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript here to run the page in")
def test_a_reload_keeps_the_answers_their_order_and_who_it_is(tmp_path):
    """The page's own script on a document of stubs, twice; other tabs are other people."""
    page = resources.files("identitystory") / "templates" / "study.html"
    script = page.read_text(encoding="utf-8").split("<script>")[1].split("</script>")[0]
    (tmp_path / "stub.js").write_text(STUB)

    def load(store):
        given = ["node", str(tmp_path / "stub.js"), json.dumps(store), script]
        done = subprocess.run(given, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    first = load({})
    assert first["shown"]["at"] == []
    again = load(first["store"])
    assert again["shown"]["order"] == first["shown"]["order"]
    assert again["shown"]["at"] == ["g0/r=c"]
    assert again["shown"]["said"] == "1 of 2 questions answered"
    assert again["store"] == first["store"]
    others = [load({}) for _ in range(3)]
    assert len({json.loads(o["store"]["picture-stories-s"])["participant"] for o in others}) == 3
    assert len({o["shown"]["order"] for o in others}) > 1
    for broken in ("{", "null", '{"order": null, "chosen": 3, "participant": 1}'):
        assert load({"picture-stories-s": broken})["shown"]["at"] == []


def test_the_command_writes_the_page_and_beside_it_the_key(runs, tmp_path, capsys):
    page = tmp_path / "study.html"
    command = ["study", "make", str(runs), "--seed", "0"]
    assert main([*command, "--out", str(page), "--groups", "2"]) == 0
    key = tmp_path / "study.key.json"
    assert capsys.readouterr().out == f"{page}: for the participants\n{key}: for you alone\n"
    assert len(json.loads(key.read_text())["groups"]) == 2
    assert page.read_bytes() == _again(find_cases([runs])[0], tmp_path / "again.html", seed=0)
    for out, groups, line in (
        ("study.pdf", "2", "study.pdf'; give a file that ends in .html"),
        ("other.html", "0", "--groups is 0; ask about at least one story"),
    ):
        assert main([*command, "--out", str(tmp_path / out), "--groups", groups]) == 2
        said = capsys.readouterr().err
        assert (said.count("\n"), line in said) == (1, True)
        assert not (tmp_path / out).exists()


def test_answers_are_counted_to_the_methods_they_were_for(runs, tmp_path, capsys):
    cases, _ = find_cases([runs])
    key_file = study.make(cases, tmp_path / "study.html", groups=3)
    key = json.loads(key_file.read_text())
    prefer = dict(zip(study.CRITERIA, METHODS, strict=True))
    files = []
    for n, given in enumerate(answers(key, 8, prefer=prefer)):
        files.append(tmp_path / f"{n}.json")
        files[-1].write_text(json.dumps(given))
    people, found = study.tally(key_file, files)
    assert people == 8
    for criterion, method in prefer.items():
        first, *rest = found[criterion]
        assert (first.method, first.chosen, first.asked) == (method, 24, 24)
        assert [r.chosen for r in rest] == [0, 0]
        sure = 2 * 2 / 2**8  # two comparisons, two sides
        ps = {r.method: r.p for r in found[criterion]}
        assert ps.pop("identitystory") is None  # the reference, chosen or not
        wins = method == "identitystory"
        assert ps == {m: sure if wins or m == method else 1.0 for m in ps}
    command = ["study", "tally", str(key_file), *map(str, files)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.count(" 24 │    24 ") == 3
    assert said.count("p against identitystory") == 3
    assert main([*command, "--against", "general"]) == 0
    assert capsys.readouterr().out.count("p against general") == 3
    assert main([*command, "--against", "sdxl"]) == 2
    assert "'sdxl', which does not take part; there are consistory" in capsys.readouterr().err
    assert main([*command, str(files[0])]) == 2
    assert "already" in capsys.readouterr().err
    files[0].write_text('{"study": "another"}')
    assert main(command) == 2
    files[0].write_text("[" * 100_000)
    assert main(command) == 2


def test_a_key_that_is_none_of_a_study_is_refused(tmp_path):
    key = {"format": study.FORMAT, "study": "s", "groups": {"g0": {"a": "general"}}}
    groups = [None, [], {}, {"g0": []}, {"g0": {}}, {"g0": {"a": ["general"]}}]
    broken = [key | {"groups": some} for some in groups] + [{"format": 1, "groups": key["groups"]}]
    for content in broken:
        (tmp_path / "key.json").write_text(json.dumps(content))
        with pytest.raises(RunError, match="is not the key of a study"):
            study.tally(tmp_path / "key.json", [])


def test_an_answer_file_may_begin_with_a_mark(tmp_path):
    key = {"format": study.FORMAT, "study": "s", "groups": {"g0": {"a": "general"}}}
    given = {"study": "s", "participant": "p", "answers": {"g0": {"image_quality": "a"}}}
    for name, content in (("key", key), ("given", given)):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8-sig")
    people, found = study.tally(tmp_path / "key", [tmp_path / "given"])
    assert people == 1
    assert [(r.method, r.chosen) for r in found["image_quality"]] == [("general", 1)]


def test_without_a_reference_the_most_chosen_is_it():
    choices = [["a", "b", "b"], ["b", "b", "c"]]
    assert [(r.method, r.p is None) for r in study.rates("abc", choices)] == [
        ("b", True),
        ("a", False),
        ("c", False),
    ]
    named = {r.method: r.p for r in study.rates("abc", choices, "c")}
    assert named["c"] is None
    alone = intervals.sign_flip([0 - 1, 1 - 0]), study.sign_flip([0 - 2, 1 - 2])
    assert [named["a"], named["b"]] == intervals.holm(alone)


def test_wilsons_interval_is_scipys():
    for k, n in ((0, 10), (3, 10), (207, 300), (10, 10)):
        theirs = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert intervals.wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert intervals.wilson(0, 0) == (0.0, 1.0)


def test_the_sign_flip_test_counts_every_way_to_flip():
    assert intervals.sign_flip([3, 2, 1]) == 2 / 8
    assert (
        intervals.sign_flip([3, -2, 1]) == 6 / 8
    )  # |sum| of 2 or more: all but 3 - 2 - 1 and its twin
    assert intervals.sign_flip([1]) == 1.0
    assert intervals.sign_flip([0, 0]) == 1.0
    drawn = intervals.sign_flip([1] * 12 + [-1] * 3)
    assert drawn == pytest.approx(binomtest(3, 15).pvalue, abs=0.01)
    assert intervals.holm([0.04, 0.01, 0.5]) == [0.08, 0.03, 0.5]


def test_comparing_takes_two_methods_with_a_story_in_common(runs, tmp_path):
    with pytest.raises(RunError, match="takes two or more"):
        find_cases([runs / "general"])
    (runs / "general" / "1" / "frames" / "002.png").unlink()
    cases, notes = find_cases([runs])
    assert [c.title for c in cases] == ["Story 0", "Story 2"]
    assert notes == ["'Story 1' is left out: not finished by general"]


def test_pictures_from_before_a_run_was_begun_again_are_not_shown(runs):
    begin(replace(asked_for(runs, "general", 1), seed=1))
    cases, notes = find_cases([runs])
    assert [c.title for c in cases] == ["Story 0", "Story 2"]
    assert notes == ["'Story 1' is left out: not finished by general"]


def test_two_runs_of_one_method_over_one_story_are_refused_and_one_given_twice_is_not(runs):
    both = [runs / "general" / "1", runs / "again" / "1"]
    shutil.copytree(*both)
    with pytest.raises(RunError, match="both hold 'Story 1' by general; give folders") as caught:
        find_cases([runs])
    assert all(str(folder) in str(caught.value) for folder in both)
    (both[1] / "frames" / "002.png").unlink()
    assert len(find_cases([runs, runs / "general", both[0]])[0]) == 3


def test_in_the_folder_of_a_bench_the_variants_of_an_ablation_are_no_methods(runs, tmp_path):
    shutil.copytree(runs / "general", runs / "start-t-50")
    assert runs == tmp_path / "runs"
    assert len(find_cases([tmp_path])[0]) == 3


def test_runs_that_were_painted_otherwise_are_not_compared(runs):
    request = asked_for(runs, "general", 1)
    paper, grey = request.preset, (99, 99, 99)
    search = replace(paper.discovery, selection="mean", guidance_interval=(0.0, 0.5))
    others = [
        (request, replace(WEIGHTS, fingerprint="v"), r"weights \('w', 'v'\)"),
        (request, replace(WEIGHTS, dtype="float16"), r"dtype \('float32', 'float16'\)"),
        (replace(request, seed=1), WEIGHTS, r"seed \(0, 1\)"),
        (
            replace(request, preset=replace(paper, discovery=search)),
            WEIGHTS,
            "discovery.sel",
        ),
        (replace(request, preset=replace(paper, reuse=2)), WEIGHTS, r"reuse \(1, 2\)"),
    ]
    for other, facts, difference in others:
        paint(other, grey, facts)
        with pytest.raises(RunError, match=f"general.1 differ in {difference}"):
            find_cases([runs / "consistory", runs / "general"])
    paint(request, grey, replace(WEIGHTS, device="cuda"))
    assert len(find_cases([runs])[0]) == 3


def test_a_run_that_tells_nonsense_is_refused(runs):
    file = runs / "general" / "1" / "run.json"
    record = json.loads(file.read_text())
    nonsense = [
        {"request": record["request"] | {"method": ["x"]}},
        {"story": record["story"] | {"title": 7}},
        {"parts": []},
        {"parts": {}},
        {"model": "w"},
    ]
    for change in nonsense:
        file.write_text(json.dumps(record | change))
        with pytest.raises(RunError, match=r"run\.json is broken"):
            find_cases([runs])
