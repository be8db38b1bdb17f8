#!/usr/bin/env python3
"""Writes tests/data/shapes: the project's own recordings of every shape that the site x has, and beside each
what a correct extractor must yield (NAME.expect.json).

Accounts and posts are invented. They are stated once, below, as facts; every page is written from the facts and
every expectation too, neither from the other and neither by the code under test. The form of the expectations
is that of tests/unit/test_fixtures.c.

    make.py           writes the files
    make.py --check   fails where a file is not what would be written
"""
import base64
import html
import json
import math
import os
import sys
import urllib.parse
import zlib
from datetime import datetime, timedelta, timezone

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shapes")
EPOCH = 1288834974657
FILES = {}


# ---- facts ----

def moment(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def iso(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def x_time(text):
    return moment(text).strftime("%a %b %d %H:%M:%S +0000 %Y")


def ms_of(text):
    return int(moment(text).timestamp()) * 1000


def snowflake(text, number, ms=417):
    """The id of what was made at that second."""
    return str(((ms_of(text) + ms - EPOCH) << 22) | (number & 0x3FFFFF))


def account(key, screen_name, name, number, **more):
    a = dict(key=key, screen_name=screen_name, name=name, id=number, created="2019-03-04T05:06:07Z", bio="",
             bio_links=[], location="", site=None, followers=120, following=80, posts=900, media=40, likes=310, listed=7,
             face="170000000000000000%d/f%sAce_normal.jpg" % (len(key) % 10, key), banner=None, protected=False, blue=False,
             kind=None, pinned=[], shape="Circle", category=None,
             badge=None, since=None)
    a.update(more)
    return a


ACCOUNTS = {a["key"]: a for a in [
    account("harbour", "harbour_notes", "Harbour Notes ⚓️", "1102847563912345600", followers=695695, following=762,
            posts=4319, media=829, likes=2642, listed=2516, banner="1551690000", blue=True, kind="Business",
            bio="Tides, ferries & fog.\nNotes from a small harbour 🐟", location="Pier 3, Westhaven",
            site=("https://t.co/harbourSit", "https://harbour.example/notes"), shape="Square", category="Community",
            since="1395425700472"),
    account("tide", "tidepool_lab", "Tidepool Lab", "815203847561234500", blue=True, followers=10203, location="Westhaven",
            bio="Small animals, long exposure. https://t.co/tideBioLnk",
            bio_links=[("https://t.co/tideBioLnk", "http://tidepool.example/author/mara")], badge="Harbour Notes"),
    account("kite", "kite_museum", "Kite Museum <open daily>", "44219",
            created="2008-11-30T10:11:12Z", listed=0, followers=0, banner="1390000000"),
    account("mona", "mona_reads", "Mona 👩‍🔬 reads", "1320000000000000123", likes=99999, kind="Government",
            site=("https://t.co/monaSiteLn", "https://mona.example/")),
    account("ferry", "ferry_times", "Ferry Times", "1700000000000000456", protected=True),
    account("lamp", "old_lamp", "O", "20"),
]}


def link(short, expanded, display):
    return ("url", short, expanded, display)


def tag(word):
    return ("tag", word)


def cash(word):
    return ("cash", word)


def at(key):
    return ("at", key)


def photo(number, when, width, height, alt=None):
    key = base64.urlsafe_b64encode((int(snowflake(when, number)) << 24 | number).to_bytes(11, "big")).decode().rstrip("=")
    return dict(kind="photo", id=snowflake(when, number), key=key, width=width, height=height, alt=alt, ms=None,
                picture="https://pbs.twimg.com/media/%s.jpg" % key, url="https://pbs.twimg.com/media/%s.jpg" % key)


def video(number, when, width, height, duration):
    vid = snowflake(when, number)
    base = "https://video.twimg.com/ext_tw_video/%s/pu/" % vid
    variants = [(None, "application/x-mpegURL", base + "pl/aQ%dbCdEf.m3u8?tag=12" % number)] + [
        (rate, "video/mp4", base + "vid/avc1/%dx%d/kEy%d.mp4?tag=12" % (width * part // 4, height * part // 4, part))
        for part, rate in ((1, 256000), (4, 2176000), (2, 832000))]
    return dict(kind="video", id=vid, width=width, height=height, alt=None, ms=duration, variants=variants,
                picture="https://pbs.twimg.com/ext_tw_video_thumb/%s/pu/img/pOsTer%d.jpg" % (vid, number), url=variants[2][2])


def gif(number, when, width, height, alt=None):
    gid = snowflake(when, number)
    key = base64.urlsafe_b64encode((int(gid) << 24 | number).to_bytes(11, "big")).decode().rstrip("=")
    url = "https://video.twimg.com/tweet_video/%s.mp4" % key
    return dict(kind="gif", id=gid, key=key, width=width, height=height, alt=alt, ms=None, variants=[(0, "video/mp4", url)],
                picture="https://pbs.twimg.com/tweet_video_thumb/%s.jpg" % key, url=url)


POSTS = {}


def post(key, author, when, parts, number=None, **more):
    p = dict(key=key, author=author, at=when, parts=parts if isinstance(parts, list) else [parts],
             id=str(number) if number else snowflake(when, 1000 + len(POSTS)), lang="en", media=[], reply=None, quote=None,
             repost=None, long=False, sensitive=None, card=None, counts=dict(reply=3, repost=25, like=217, quote=2,
             bookmark=63, view=52901), edits=None, article=None, community=None, note=None, conversation=None, wrapped=False,
             quote_gone=False, quote_of=None, answers=None, place=None, place_point=None, cut=None)  # cut: so many parts of a long text stand in a cut copy of it
    p["counts"] = dict(p["counts"], **more.pop("count", {}))
    p.update(more)
    POSTS[key] = p
    return p


def poll(*choices, final=False, end="2026-06-08T10:00:00Z"):
    return dict(name="poll%dchoice_text_only" % len(choices), choices=choices, final=final, end=end, url="https://twitter.com")


def page_card(short, title, domain):
    return dict(name="summary_large_image", title=title, domain=domain, url=short)


def facts():
    """Newest last: what answers, quotes or passes on another stands below it."""
    post("old", "lamp", "2008-05-06T07:08:09Z", "just setting up my lamp", number=20, lang="en",
         count=dict(quote=5, bookmark=None, view=None))
    post("before_views", "kite", "2022-03-01T12:00:00Z", ["No wind & no kites: ", tag("Sunday"), " <3"],
         count=dict(view=None, bookmark=0), lang="en")
    post("board", "harbour", "2024-02-06T21:09:45Z", ["Ferries leave at ", link("https://t.co/boardLink1",
         "https://harbour.example/board?day=1&pier=3", "harbour.example/board?day=1…"), " and the board says why. ",
         tag("ferries"), " ", cash("TIDE"), " ", at("tide")], count=dict(reply=783, repost=832, like=5569, quote=573,
         bookmark=2810, view=2525462), card=page_card("https://t.co/boardLink1", "The board & its lamps", "harbour.example"),
         sensitive=False)
    ACCOUNTS["harbour"]["pinned"] = [POSTS["board"]["id"]]
    post("starfish", "tide", "2026-05-30T08:15:00Z", ["Five arms, one plan 🌟 ", tag("starfish"), " in the pool below ",
         link("https://t.co/starLink01", "https://tidepool.example/s/1", "tidepool.example/s/1")],
         media=[photo(11, "2026-05-30T08:14:40Z", 2048, 1365, "A starfish \"standing\" on two arms"),
                photo(12, "2026-05-30T08:14:41Z", 900, 1600)], sensitive=False, count=dict(view=1000))
    post("story", "tide", "2026-05-31T09:00:01Z", ["The long story of a small pool.\n\nFirst the tide goes out & takes its "
         "time. Then everybody who stayed begins to talk at once, and nobody says so much as the limpets. ", at("harbour"),
         " has the tables at ", link("https://t.co/storyLink1", "https://harbour.example/tables", "harbour.example/tables"),
         " and we have the patience: three hours on one stone, in the rain, with a lamp. ", tag("tidepool"),
         " That is all there is to it, and it is a great deal."], long=True, cut=1)
    post("waves", "harbour", "2026-06-01T06:30:00Z", "Waves at the pier, this morning", media=[video(21,
         "2026-06-01T06:29:30Z", 1280, 720, 16394)], sensitive=False)
    post("gull", "mona", "2026-06-01T19:20:21Z", "gull", lang="en", media=[gif(31, "2026-06-01T19:20:00Z", 498, 280,
         "A gull turns its head")], sensitive=True)
    post("reply_gull", "harbour", "2026-06-02T08:00:00Z", [at("mona"), " That is Gerald. He works here."], reply="gull",
         count=dict(reply=0, repost=0, quote=0, bookmark=0, like=1, view=88))
    post("which", "harbour", "2026-06-07T10:00:00Z", "Which boat shall we paint first?", card=poll(("The blue one", 844386),
         ("The other one", 364677)), count=dict(reply=10731, like=33991, repost=6056, bookmark=1612, view=15188632))
    post("quoting", "harbour", "2026-06-08T11:12:13Z", ["What they do up there all day, we do not know. ",
         link("https://t.co/quoteLink1", "https://twitter.com/tidepool_lab/status/%s" % POSTS["starfish"]["id"],
              "twitter.com/tidepool_lab/s…")], quote="starfish", edits=2)
    post("wrapped", "mona", "2026-06-09T01:02:03Z", "Saying it again", quote="waves", wrapped=True, lang="en",
         count=dict(view=7))
    post("passed_on", "harbour", "2026-06-10T12:00:00Z", [], repost="story")
    post("essay", "mona", "2026-06-11T07:07:07Z", [link("https://t.co/essayLink1", "http://x.com/i/article/1932000000000000000",
         "x.com/i/article/193200…")], article=dict(id="1932000000000000000", title="On reading in fog",
         preview="You cannot see the end of the line…", cover="https://pbs.twimg.com/media/cover.jpg"), lang="zxx")
    post("club", "kite", "2026-06-12T13:14:15Z", "Strings attached. 🪁", community=("1506777270324764673", "Kites & co"),
         note="Readers added context: kites need wind.", count=dict(view=40284))
    post("question", "mona", "2026-06-13T10:00:00Z", "Does anybody have the last page of the log?", count=dict(reply=4))
    post("answer", "tide", "2026-06-13T10:05:00Z", [at("mona"), " It is in the lab, under the starfish."], reply="question")
    post("answer_2", "mona", "2026-06-13T10:06:00Z", [at("tide"), " Of course it is."], reply="answer")
    post("answer_3", "ferry", "2026-06-13T10:09:00Z", [at("mona"), " We only have the first."], reply="question")
    post("cheap", "kite", "2026-06-13T11:00:00Z", "Cheap kites! Only here!")
    post("unrelated", "lamp", "2026-06-13T12:00:00Z", "oil is dear again")
    for i in range(12):
        post("log_%d" % i, "harbour", iso(moment("2026-06-14T00:00:00Z") + timedelta(hours=i)), "Log %d: %s" % (i, ["fog",
             "rain & fog", "sun"][i % 3]), count=dict(reply=i, repost=0, like=i * 1000, bookmark=0, view=i * 1111 + 1))
    post("three_kinds", "tide", "2026-06-14T15:00:00Z", [at("harbour"), " asked what a limpet does. We looked for an hour: it "
         "does this, and then this.\n\n• It moves, if nobody looks.\n• It comes back to its own place & fits there, to the "
         "millimetre, and the stone is worn to its shape. Nobody", " hurries it, and nobody has seen it hurry. The rest is ",
         link("https://t.co/limpetLnk", "https://tidepool.example/limpet", "tidepool.example/limpet")], long=True, cut=2,
         media=[photo(41, "2026-06-14T14:58:00Z", 2784, 1086), video(42, "2026-06-14T14:58:10Z", 1920, 1080, 59450),
                photo(43, "2026-06-14T14:58:20Z", 3538, 1823, "The same stone an hour later")], sensitive=False)
    post("in_town", "kite", "2026-06-14T15:10:00Z", "The wind is at the church, as always.", place=dict(id="f89ad9c4b940079f",
         full_name="Westhaven, Coast", name="Westhaven", place_type="city", country="Coastland", country_code="CL"),
         place_point=(-6.4, 32.75), community=("1506777270324764673", None))
    post("live", "harbour", "2026-06-14T15:20:00Z", [link("https://t.co/liveLink01", "https://x.com/i/broadcasts/1BRJharbour1",
         "x.com/i/broadcasts/1BRJ…")], card=dict(name="745291183405076480:broadcast", url="https://t.co/liveLink01",
         title="The tide comes in, live", domain=None, broadcast="1BRJharbour1"))
    post("offer", "harbour", "2026-06-14T15:22:00Z", "Places on the morning boat", card=dict(name="unified_card", title=None, domain=None,
         url="card://1", unified="https://pbs.twimg.com/media/GoffErPic.png"))
    post("room", "mona", "2026-06-14T15:25:00Z", ["We talk about the last page. ", link("https://t.co/roomLink01",
         "https://x.com/i/spaces/1YpKkmona1", "x.com/i/spaces/1YpKkmona1")], card=dict(name="3691233323:audiospace",
         url="https://t.co/roomLink01", title=None, domain=None, space="1YpKkmona1"))
    post("borrowed", "mona", "2026-06-14T15:30:00Z", "Look who is in the second minute", media=[dict(POSTS["waves"]["media"][0],
         of="waves", people=["harbour", "tide"]), dict(video(44, "2026-05-31T10:00:00Z", 640, 360, 9000), of="waves")], sensitive=False)
    post("gone_original", "mona", "2026-06-14T15:40:00Z", "What they said, and then took back:", quote_of="2066000000000000001")
    post("to_somebody", "tide", "2026-06-14T15:50:00Z", [at("mona"), " good morning!"], answers="mona")
    post("closed", "kite", "2026-06-14T15:55:00Z", "Which string is it?", card=poll(("Cotton", 3), ("Silk", 9), ("Wire", 0), final=True))
    post("no_poster", "tide", "2026-06-14T15:56:00Z", "Fog, from inside", media=[dict(video(45, "2026-06-14T15:55:30Z", 640, 360, 4000),
         picture=None)])
    post("corrected", "harbour", "2026-06-14T16:00:00Z", "The late ferry is at ten, not at nine. Sorry!", media=[photo(51,
         "2026-06-14T15:59:00Z", 952, 598)], edits=3, sensitive=False)


facts()


# ---- texts ----

def whole(p):
    """Follows a repost to what it shows."""
    return POSTS[p["repost"]] if p["repost"] else p


def spoken(part, expanded):
    if isinstance(part, str):
        return part
    if part[0] == "url":
        return part[2] if expanded else part[1]
    return {"tag": "#", "cash": "$", "at": "@"}[part[0]] + (ACCOUNTS[part[1]]["screen_name"] if part[0] == "at" else part[1])


def media_link(p):
    return "https://t.co/m%s" % p["id"][-9:] if p["media"] else None


def text_of(p):
    return "".join(spoken(x, True) for x in p["parts"]).strip()


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def sent(p, escape):
    """Text as it is sent, and its entities with their places in code points."""
    raw, urls, tags, symbols, mentions = "", [], [], [], []
    for x in p["parts"]:
        piece = spoken(x, False)
        piece = escaped(piece) if escape else piece
        span = [len(raw), len(raw) + len(piece)]
        raw += piece
        if isinstance(x, str):
            continue
        if x[0] == "url":
            urls.append(dict(display_url=x[3], expanded_url=x[2], indices=span, url=x[1]))
        elif x[0] == "tag":
            tags.append(dict(indices=span, text=x[1]))
        elif x[0] == "cash":
            symbols.append(dict(indices=span, text=x[1]))
        else:
            a = ACCOUNTS[x[1]]
            mentions.append(dict(id_str=a["id"], indices=span, name=a["name"], screen_name=a["screen_name"]))
    shown = len(raw)
    place = None
    if p["media"]:
        raw += (" " if raw else "") + media_link(p)
        place = [len(raw) - len(media_link(p)), len(raw)]
    return raw, dict(urls=urls, hashtags=tags, symbols=symbols, user_mentions=mentions), [0, shown], place


def words(p, kind):
    return [x[1] for x in p["parts"] if not isinstance(x, str) and x[0] == kind]


# ---- what has to come out ----

def permalink(p):
    return "https://x.com/%s/status/%s" % (ACCOUNTS[p["author"]]["screen_name"], p["id"])


def edit_ids(p):
    return [str(int(p["id"]) - 4194304 * 60000 * (p["edits"] - 1 - i)) for i in range(p["edits"])] if p["edits"] else [p["id"]]


def want_media(v):
    return dict(type=v["kind"], url=v["url"], thumb=None if v["kind"] == "photo" else v["picture"], width=v["width"],
                height=v["height"], alt=v["alt"], duration_ms=v["ms"])


def want_card(card):
    if not card:
        return None
    if "choices" not in card:
        return dict(name=card["name"].split(":")[-1], title=card["title"], url=card["url"], domain=card["domain"])
    return dict(name=card["name"], title=None, url=card["url"], domain=None,
                poll=dict(options=[dict(label=a, votes=n) for a, n in card["choices"]], final=card["final"], end=card["end"]))


def conversation(p):
    while p["reply"]:
        p = POSTS[p["reply"]]
    return p["id"]


def want_post(p, section=None, pinned=False):
    a, w = ACCOUNTS[p["author"]], whole(p)
    to = POSTS[p["reply"]] if p["reply"] else None
    r = dict(id=p["id"], url=permalink(p), author=a["screen_name"], author_id=a["id"], author_name=a["name"],
             created_at=p["at"], lang=w["lang"], text=text_of(w), text_raw=sent(w, not w["long"])[0], is_long=w["long"],
             counts=None if p["repost"] else dict(p["counts"]), media=[want_media(v) for v in w["media"]],
             urls=[x[2] for x in w["parts"] if not isinstance(x, str) and x[0] == "url"], hashtags=words(w, "tag"),
             cashtags=words(w, "cash"), mentions=[ACCOUNTS[k]["screen_name"] for k in words(w, "at")],
             conversation_id=conversation(p), reply_to_id=to and to["id"],
             reply_to_author=to and ACCOUNTS[to["author"]]["screen_name"],
             quote_of=POSTS[w["quote"]]["id"] if w["quote"] else w["quote_of"],
             repost_of=p["repost"] and w["id"], repost_of_author=p["repost"] and ACCOUNTS[w["author"]]["screen_name"],
             possibly_sensitive=w["sensitive"], card=want_card(w["card"]), edit_ids=edit_ids(p))
    if p["answers"]:
        r["reply_to_author"] = ACCOUNTS[p["answers"]]["screen_name"]
    if section:
        r.update(section=section, pinned=pinned)
    return dict(r, also=want_also(p, w)) if want_also(p, w) else r


def want_also(p, w):
    """What the form of expectations has no word for, by the record's own paths."""
    more = {}
    if w["community"]:
        more.update({"community.id": w["community"][0], "community.name": w["community"][1]})
    if w["note"]:
        more["community_note"] = w["note"]
    if w["article"]:
        more.update({"article." + k: w["article"][n] for k, n in (("id", "id"), ("title", "title"), ("preview", "preview"),
                                                                  ("cover_url", "cover"))})
    if w["place"]:
        more.update({"place." + k: w["place"][n] for k, n in (("id", "id"), ("full_name", "full_name"), ("name", "name"),
                     ("type", "place_type"), ("country", "country"), ("country_code", "country_code"))})
        more.update({"coordinates.lon": w["place_point"][0], "coordinates.lat": w["place_point"][1]})
    if w["card"] and "choices" not in w["card"]:
        more.update({"card.image": card_picture(w["card"]), "card.broadcast_id": w["card"].get("broadcast"),
                     "card.space_id": w["card"].get("space")})
    for i, v in enumerate(w["media"]):
        if "of" in v:
            more.update({"media.%d.from_post_id" % i: POSTS[v["of"]]["id"], "media.%d.from_user.id" % i:
                         ACCOUNTS[POSTS[v["of"]]["author"]]["id"], "media.%d.from_user.screen_name" % i:
                         ACCOUNTS[POSTS[v["of"]]["author"]]["screen_name"] if v.get("people") else None})
        if v.get("people"):
            more.update({"media.%d.tagged_users.0.screen_name" % i:
                         ACCOUNTS[v["people"][0]]["screen_name"], "media.%d.tagged_users.1.id" % i: ACCOUNTS[v["people"][1]]["id"]})
    if p["edits"]:
        more.update({"edit.initial_id": edit_ids(p)[0], "edit.is_latest": True, "edit.edits_left": 5})
    return more


def card_picture(card):
    if "unified" in card:
        return card["unified"]
    return None if card["name"].endswith("audiospace") else "https://pbs.twimg.com/card_img/1/cArd?format=jpg&name=orig"


def want_user(a, layout, bare=False):
    if bare:  # a list of a community's members, the page about an account: no numbers
        return dict(id=a["id"], screen_name=a["screen_name"], name=a["name"], created_at=None, followers=None, following=None,
                    posts=None, media_count=None, likes=None, listed=None, description=None, location="", url=None,
                    avatar=face(a).replace("_normal", ""), banner=None, protected=a["protected"], blue_verified=a["blue"],
                    verified_type=a["kind"], pinned=[])
    r = dict(id=a["id"], screen_name=a["screen_name"], name=a["name"], created_at=a["created"], followers=a["followers"],
                following=a["following"], posts=a["posts"], media_count=a["media"], likes=a["likes"],
                listed=None if layout == 3 else a["listed"], description=a["bio"], location=a["location"],
                url=a["site"] and a["site"][1], avatar=face(a).replace("_normal", ""), banner=banner(a),
                protected=a["protected"], blue_verified=a["blue"], verified_type=a["kind"], pinned=a["pinned"])
    also = {}
    if a["badge"]:
        also["affiliate.label"] = a["badge"]
    if a["since"]:
        also.update({"verified.since_ms": int(a["since"]), "verified.identity": False})
    return dict(r, also=also) if also else r


def inner_of(p):
    """Keys of the posts inside a post."""
    keys = []
    if p["repost"]:
        keys += [p["repost"]]
        p = POSTS[p["repost"]]
    if p["quote"]:
        keys += [p["quote"]]
    return keys


# ---- files ----

def put(path, data):
    FILES[path] = data if isinstance(data, bytes) else data.encode()


STYLES = [dict(ensure_ascii=False, separators=(",", ":")), dict(ensure_ascii=False, indent=1),
          dict(ensure_ascii=True, indent=1), dict(ensure_ascii=True, separators=(",", ":"))]


def put_json(path, value):
    """In one of the styles that servers and those between use; which one, its path says."""
    put(path, json.dumps(value, **STYLES[zlib.crc32(path.encode()) % len(STYLES)]))


def put_expectation(path, **members):
    stem = path.rsplit(".", 1)[0]
    head = dict(schema="xdata-expect/1", source=path)
    put(stem + ".expect.json", json.dumps(dict(head, **members), ensure_ascii=False, indent=1) + "\n")


# ---- the page's own API ----

def face(a):
    return "https://pbs.twimg.com/profile_images/" + a["face"]


def banner(a):
    return a["banner"] and "https://pbs.twimg.com/profile_banners/%s/%s" % (a["id"], a["banner"])


def node_id(kind, number):
    return base64.b64encode(("%s:%s" % (kind, number)).encode()).decode()


def site_urls(a):
    return [dict(display_url=a["site"][1].split("//")[1].rstrip("/"), expanded_url=a["site"][1], indices=[0, 23],
                 url=a["site"][0])] if a["site"] else []


def bio_urls(a):
    return [dict(display_url=e.split("//")[1], expanded_url=e, indices=[a["bio"].index(s), a["bio"].index(s) + len(s)], url=s)
            for s, e in a["bio_links"]]


def user_l3(a):
    u = dict(__typename="User", id=node_id("User", a["id"]), rest_id=a["id"], action_counts=dict(favorites_count=a["likes"]),
             affiliates_highlighted_label={}, avatar=dict(image_url=face(a)),
             core=dict(created_at=x_time(a["created"]), name=a["name"], screen_name=a["screen_name"]),
             is_blue_verified=a["blue"], location=dict(location=a["location"]), pinned_items=dict(tweet_ids_str=a["pinned"]),
             privacy=dict(protected=a["protected"]), profile_image_shape=a["shape"],
             profile_bio=dict(description=a["bio"], entities=dict(description=dict(urls=bio_urls(a)) if a["bio_links"] else {})),
             profile_metadata=dict(profile_interstitial_type=""),
             relationship_counts=dict(followers=a["followers"], following=a["following"]),
             relationship_perspectives=dict(blocked_by=False, following=False),
             tweet_counts=dict(media_tweets=a["media"], tweets=a["posts"]), verification=dict(verified=False))
    if a["site"]:
        u["profile_bio"]["entities"]["url"] = dict(urls=site_urls(a))
        u["website"] = dict(url=a["site"][0])
    if a["banner"]:
        u["banner"] = dict(image_url=banner(a))
    if a["kind"]:
        u["verification"]["verified_type"] = a["kind"]
    if a["category"]:
        u["professional"] = dict(category=[dict(icon_name="IconBriefcaseStroke", id=1009, name=a["category"])],
                                 professional_type="Business", rest_id="15")
    return u


def legacy_user(a):
    entities = dict(description=dict(urls=bio_urls(a)))
    if a["site"]:
        entities["url"] = dict(urls=site_urls(a))
    l = dict(default_profile=True, description=a["bio"], entities=entities, favourites_count=a["likes"],
             followers_count=a["followers"], friends_count=a["following"], listed_count=a["listed"], media_count=a["media"],
             pinned_tweet_ids_str=a["pinned"], profile_interstitial_type="", statuses_count=a["posts"], translator_type="none",
             withheld_in_countries=[])
    if a["site"]:
        l["url"] = a["site"][0]
    if a["banner"]:
        l["profile_banner_url"] = banner(a)
    return l


def user_l2(a):
    u = dict(__typename="User", id=node_id("User", a["id"]), rest_id=a["id"], affiliates_highlighted_label={},
             avatar=dict(image_url=face(a)), is_blue_verified=a["blue"], legacy=legacy_user(a),
             core=dict(created_at=x_time(a["created"]), name=a["name"], screen_name=a["screen_name"]),
             location=dict(location=a["location"]), privacy=dict(protected=a["protected"]),
             profile_image_shape=a["shape"], verification=dict(verified=False))
    if a["kind"]:
        u["verification"]["verified_type"] = a["kind"]
    return u


def user_l1(a):
    l = dict(legacy_user(a), created_at=x_time(a["created"]), location=a["location"], name=a["name"],
             screen_name=a["screen_name"], profile_image_url_https=face(a), verified=False, can_dm=True)
    if a["protected"]:
        l["protected"] = True
    if a["kind"]:
        l["verified_type"] = a["kind"]
    return dict(__typename="User", id=node_id("User", a["id"]), rest_id=a["id"], is_blue_verified=a["blue"], legacy=l,
                profile_image_shape=a["shape"])


def user(a, layout):
    u = {1: user_l1, 2: user_l2, 3: user_l3}[layout](a)
    if a["badge"]:
        u["affiliates_highlighted_label"] = dict(label=dict(description=a["badge"], userLabelType="BusinessLabel", userLabelDisplayType="Badge",
                                                 badge=dict(url="https://pbs.twimg.com/profile_images/1/b_bigger.jpg"),
                                                 url=dict(url="https://twitter.com/harbour_notes", urlType="DeepLink")))
    if a["since"]:
        u["verification_info"] = dict(is_identity_verified=False, reason=dict(verified_since_msec=a["since"],
                                      description=dict(text="This account is verified.", entities=[])))
    return u


def member(a, layout):
    """A community's member: the account with few of its members."""
    u = user(a, layout)
    few = {k: u[k] for k in ("__typename", "id", "rest_id", "avatar", "is_blue_verified", "privacy", "verification") if k in u}
    if layout == 1:
        few["legacy"] = {k: u["legacy"][k] for k in ("name", "screen_name", "profile_image_url_https", "protected") if k in
                         u["legacy"]}
    else:
        few["core"] = dict(name=a["name"], screen_name=a["screen_name"])
    return dict(few, community_role="Admin")


def media_json(p, v, place, layout=1):
    number = p["media"].index(v) + 1
    kind = {"photo": "photo", "video": "video", "gif": "animated_gif"}[v["kind"]]
    m = dict(display_url="pic.x.com/m", expanded_url="%s/%s/%d" % (permalink(p), "photo" if kind == "photo" else "video", number),
             id_str=v["id"], indices=place, media_key={"photo": "3_", "video": "7_", "gif": "16_"}[v["kind"]] + v["id"],
             media_url_https=v["picture"], type=kind, url=media_link(p), ext_media_availability=dict(status="Available"),
             original_info=dict(height=v["height"], width=v["width"], focus_rects=[]))
    if v["alt"]:
        m["ext_alt_text"] = v["alt"]
    if kind != "photo":
        info = dict(aspect_ratio=[16, 9], variants=[dict(({"bitrate": r} if r is not None else {}), content_type=t, url=u)
                                                    for r, t, u in v["variants"]])
        if v["ms"]:
            info["duration_millis"] = v["ms"]
        m["video_info"] = info
    if "of" in v:
        owner = ACCOUNTS[POSTS[v["of"]]["author"]]
        m.update(source_status_id_str=POSTS[v["of"]]["id"], source_user_id_str=owner["id"])
    if v.get("people"):
        m.update( features=dict(all=dict(tags=[
            dict(name=ACCOUNTS[k]["name"], screen_name=ACCOUNTS[k]["screen_name"], type="user", user_id=ACCOUNTS[k]["id"])
            for k in v["people"]])), additional_media_info=dict(monetizable=False, source_user=dict(user_results=dict(
                result=user(owner, layout)))))
    return m


def card_values(card):
    text = lambda s: dict(string_value=s, type="STRING")
    picture = dict(type="IMAGE", image_value=dict(height=450, width=800, url=card_picture(card)))
    if "broadcast" in card:
        return dict(broadcast_title=text(card["title"]), broadcast_id=text(card["broadcast"]), broadcast_state=text("ENDED"),
                    broadcast_url=text("https://twitter.com/i/broadcasts/" + card["broadcast"]), card_url=text(card["url"]),
                    broadcast_thumbnail_original=picture)
    if "unified" in card:
        return dict(unified_card=text(json.dumps(dict(type="image_website", component_objects=dict(details_1=dict(type="details", data=dict(
            title=dict(content='Say "media_url_https":"nothing" and come', is_rtl=False)))), media_entities={"3_1": dict(
                id_str="1", media_url="", media_url_https=card["unified"], type="photo")}), separators=(",", ":")).replace("/", "\\/")))
    if "space" in card:
        return dict(id=text(card["space"]), card_url=text(card["url"]), narrow_cast_space_type=text("0"))
    if "choices" not in card:
        return dict(title=text(card["title"]), domain=text(card["domain"]), vanity_url=text(card["domain"]),
                    card_url=text(card["url"]), description=text("About it"), thumbnail_image_original=picture)
    values = dict(end_datetime_utc=text(card["end"]), duration_minutes=text("1440"), card_url=text(card["url"]),
                  last_updated_datetime_utc=text(card["end"]), counts_are_final=dict(boolean_value=card["final"], type="BOOLEAN"))
    for i, (label, votes) in enumerate(card["choices"]):
        values["choice%d_label" % (i + 1)] = text(label)
        values["choice%d_count" % (i + 1)] = text(str(votes))
    return values


def card_json(card):
    return dict(rest_id="card://1", legacy=dict(name=card["name"], url="card://1", user_refs_results=[], binding_values=[
        dict(key=k, value=v) for k, v in card_values(card).items()]))


def tweet(key, layout, inside=True):
    p = POSTS[key]
    w = whole(p)
    note = p["long"] and not p["repost"]
    raw, entities, shown, place = sent(p, not p["long"])
    if note:  # what is not the note is a copy that was cut
        raw = escaped("".join(x if isinstance(x, str) else spoken(x, False) for x in p["parts"]))[:180] + "…"
        entities, shown = dict(urls=[], hashtags=[], symbols=[], user_mentions=[]), [0, 180]
    if p["repost"]:
        raw = ("RT @%s: " % ACCOUNTS[w["author"]]["screen_name"] + escaped(text_of(w)))[:139] + "…"
        entities = dict(urls=[], hashtags=[], symbols=[], user_mentions=[])
    c = p["counts"]
    legacy = dict(bookmarked=False, created_at=x_time(p["at"]), conversation_id_str=conversation(p), display_text_range=shown,
                  entities={k: v for k, v in entities.items() if v or layout < 3}, favorite_count=0 if p["repost"] else c["like"],
                  favorited=False, full_text=raw, is_quote_status=bool(w["quote"]), lang=w["lang"],
                  quote_count=0 if p["repost"] else c["quote"], reply_count=0 if p["repost"] else c["reply"],
                  retweet_count=c["repost"], retweeted=False, user_id_str=ACCOUNTS[p["author"]]["id"], id_str=p["id"])
    if c["bookmark"] is not None:
        legacy["bookmark_count"] = 0 if p["repost"] else c["bookmark"]
    if p["sensitive"] is not None:
        legacy["possibly_sensitive"] = p["sensitive"]
    if p["media"]:
        list_of = [media_json(p, v, place, layout) for v in p["media"]]
        legacy["entities"]["media"] = list_of[:1]
        legacy["extended_entities"] = dict(media=list_of)
    if p["reply"]:
        to = POSTS[p["reply"]]
        legacy.update(in_reply_to_screen_name=ACCOUNTS[to["author"]]["screen_name"], in_reply_to_status_id_str=to["id"],
                      in_reply_to_user_id_str=ACCOUNTS[to["author"]]["id"])
    if p["answers"]:
        legacy.update(in_reply_to_screen_name=ACCOUNTS[p["answers"]]["screen_name"], in_reply_to_user_id_str=ACCOUNTS[p["answers"]]["id"])
    if p["place"]:
        legacy.update(place=dict(p["place"], attributes={}, contained_within=[]), coordinates=dict(type="Point",
                      coordinates=list(p["place_point"])))
    versions = dict(edit_tweet_ids=edit_ids(p), editable_until_msecs=str(ms_of(p["at"]) + 3600000), is_edit_eligible=not p["reply"],
                    edits_remaining="5")
    if p["edits"]:
        versions = dict(edit_control_initial=versions, initial_tweet_id=edit_ids(p)[0])
    t = dict(__typename="Tweet", rest_id=p["id"], core=dict(user_results=dict(result=user(ACCOUNTS[p["author"]], layout))),
             unmention_data={}, is_translatable=False, legacy=legacy, edit_control=versions,
             source='<a href="https://mobile.x.com" rel="nofollow">Harbour &amp; App</a>',
             views=dict(state="Enabled") if c["view"] is None or p["repost"] else dict(count=str(c["view"]), state="EnabledWithCount"))
    if note:
        text, set_of, _, _ = sent(p, False)
        t["note_tweet"] = dict(is_expandable=True, note_tweet_results=dict(result=dict(id=node_id("NoteTweet", p["id"]),
                               text=text, entity_set=set_of, richtext=dict(richtext_tags=[]), media=dict(inline_media=[]))))
    if p["card"]:
        t["card"] = card_json(p["card"])
    if p["article"]:
        a = p["article"]
        t["article"] = dict(article_results=dict(result=dict(rest_id=a["id"], id=node_id("ArticleEntity", a["id"]), title=a["title"],
                            preview_text=a["preview"], cover_media=dict(media_info=dict(original_img_url=a["cover"])))))
    if p["community"]:
        t["community_results"] = dict(result=dict(dict(name=p["community"][1]) if p["community"][1] else {}, __typename="Community",
                                                  id_str=p["community"][0]))
        t["author_community_relationship"] = dict(role="Member")
    if p["note"]:
        t["has_birdwatch_notes"] = True
        t["birdwatch_pivot"] = dict(subtitle=dict(text=p["note"], entities=[]), title="Readers added context")
    if p["repost"] and inside:
        legacy["retweeted_status_result"] = dict(result=tweet(p["repost"], layout))
    if p["quote_of"]:
        legacy.update(quoted_status_id_str=p["quote_of"], is_quote_status=True)
    if p["quote"] and inside:
        legacy["quoted_status_id_str"] = POSTS[p["quote"]]["id"]
        inner = tweet(p["quote"], layout, False)
        t["quoted_status_result"] = dict(result=dict(__typename="TweetWithVisibilityResults", tweet=inner,
                                         limitedActionResults=dict(limited_actions=[])) if p["wrapped"] else inner)
    return t


def item_content(result, **more):
    return dict(dict(__typename="TimelineTweet", itemType="TimelineTweet", tweetDisplayType="Tweet",
                     tweet_results=dict(result=result)), **more)


def entry(name, sort, content):
    return dict(entryId=name, sortIndex=str(sort), content=content)


def single(content):
    return dict(__typename="TimelineTimelineItem", entryType="TimelineTimelineItem", itemContent=content)


def cursor(kind, value, sort=0):
    return entry("cursor-%s-%d" % (kind.lower(), sort), sort, dict(__typename="TimelineTimelineCursor",
                 entryType="TimelineTimelineCursor", value=value, cursorType=kind))


def item_cursor(name, kind, value, sort=0):
    return entry(name, sort, single(dict(__typename="TimelineTimelineCursor", itemType="TimelineTimelineCursor", value=value,
                                         cursorType=kind)))


def module(name, sort, items, display="Vertical", **more):
    return entry(name, sort, dict(dict(__typename="TimelineTimelineModule", entryType="TimelineTimelineModule",
                                       displayType=display, items=items), **more))


def module_item(name, content):
    return dict(entryId=name, item=dict(itemContent=content, clientEventInfo={}))


def user_content(result):
    return dict(__typename="TimelineUser", itemType="TimelineUser", userDisplayType="User", user_results=dict(result=result))


PROMOTED = dict(promotedMetadata=dict(advertiser_results=dict(result=dict(rest_id="44219")), impressionId="7a", disclosureType="NoDisclosure"))


class Page:
    """Entries of one page, and what has to come out of them."""

    def __init__(self, layout):
        self.layout, self.entries, self.first = layout, [], []
        self.posts, self.nested, self.users, self.promoted, self.gone, self.cursors = [], [], [], [], [], {}
        self.authors, self.sort = {}, 10 ** 18

    def place(self):
        self.sort -= 1
        return self.sort

    def note(self, key, section, pinned=False):
        p = POSTS[key]
        self.authors[p["author"]] = True
        if p["id"] in [w["id"] for w in self.posts]:
            return
        self.posts.append(want_post(p, section, pinned))
        for k in inner_of(p):
            self.authors[POSTS[k]["author"]] = True
            if POSTS[k]["id"] not in [w["id"] for w in self.nested]:
                self.nested.append(want_post(POSTS[k]))

    def content(self, key, section="timeline", **more):
        self.note(key, section)
        return item_content(tweet(key, self.layout), **more)

    def add(self, key, section="timeline"):
        self.entries.append(entry("tweet-" + POSTS[key]["id"], self.place(), single(self.content(key, section))))

    def pin(self, key):
        self.note(key, "pinned", True)
        self.first.append(dict(type="TimelinePinEntry", entry=entry("tweet-" + POSTS[key]["id"], self.place(), single(item_content(
            tweet(key, self.layout), socialContext=dict(type="TimelineGeneralContext", contextType="Pin", text="Pinned"))))))

    def thread(self, name, keys, section="timeline", display="VerticalConversation", more=None):
        items = [module_item("%s-tweet-%s" % (name, POSTS[k]["id"]), self.content(k, section)) for k in keys]
        if more:
            items.append(module_item("%s-cursor-showmore-1" % name, dict(__typename="TimelineTimelineCursor",
                         itemType="TimelineTimelineCursor", value=more, cursorType="ShowMore")))
            self.cursors["ShowMore"] = more
        self.entries.append(module(name, self.place(), items, display))

    def ad(self, key, name=None):
        self.promoted.append(POSTS[key]["id"])
        self.entries.append(entry(name or "promoted-tweet-%s-7a9b" % POSTS[key]["id"], self.place(),
                                  single(item_content(tweet(key, self.layout), **PROMOTED))))

    def tombstone(self, name, text):
        self.gone.append(dict(entry=name, reason="tombstone: " + text))
        self.entries.append(entry(name, self.place(), single(item_content(dict(__typename="TweetTombstone", tombstone=dict(
            __typename="TextTombstone", text=dict(entities=[], rtl=False, text=text)))))))

    def people(self, name, keys):
        self.entries.append(module(name, self.place(), [module_item("%s-user-%s" % (name, ACCOUNTS[k]["id"]),
                            user_content(user(ACCOUNTS[k], self.layout))) for k in keys]))

    def person(self, key):
        self.users.append(want_user(ACCOUNTS[key], self.layout))
        self.entries.append(entry("user-" + ACCOUNTS[key]["id"], self.place(), single(user_content(user(ACCOUNTS[key], self.layout)))))

    def missing_person(self, number):
        self.gone.append(dict(entry="user-" + number, reason="UserUnavailable"))
        self.entries.append(entry("user-" + number, self.place(), single(user_content(dict(__typename="UserUnavailable",
                                  message="User is suspended", reason="Suspended")))))

    def ends(self, top, bottom):
        self.entries += [cursor("Top", top, 1), cursor("Bottom", bottom)]
        self.cursors.update(Top=top, Bottom=bottom)

    def instructions(self, last=()):
        return [dict(type="TimelineClearCache")] + self.first + [dict(type="TimelineAddEntries", entries=self.entries)] + list(last)

    def expectation(self, **more):
        r = dict(posts=self.posts, nested_posts=self.nested)
        if self.users:
            r["users"] = self.users
        if self.promoted:
            r["promoted"] = self.promoted
        if self.gone:
            r["unavailable"] = self.gone
        if self.cursors:
            r["cursors"] = self.cursors
        if self.authors:
            r["authors"] = {ACCOUNTS[k]["id"]: want_user(ACCOUNTS[k], self.layout) for k in self.authors}
        return dict(r, **more)

    def save(self, path, body, **more):
        put_json(path, body)
        put_expectation(path, **self.expectation(**more))


def in_user(instructions, name="timeline"):
    return dict(data=dict(user=dict(result={"__typename": "User", name: dict(timeline=dict(instructions=instructions, metadata={}))})))


def in_search(instructions):
    return dict(data=dict(search_by_raw_query=dict(search_timeline=dict(timeline=dict(instructions=instructions)))))


def in_thread(instructions):
    return dict(data=dict(threaded_conversation_with_injections_v2=dict(instructions=instructions)))


def in_list(instructions, name="tweets_timeline"):
    return dict(data=dict(list={name: dict(timeline=dict(instructions=instructions))}))


def in_community(instructions):
    return dict(data=dict(communityResults=dict(id="Q", result=dict(__typename="Community", ranked_community_timeline=dict(
        timeline=dict(instructions=instructions))))))


BOTTOM_END = dict(type="TimelineTerminateTimeline", direction="Bottom")
TOP_END = dict(type="TimelineTerminateTimeline", direction="Top")


def layouts():
    for layout, folder in ((3, "l3"), (2, "l2"), (1, "l1")):
        where = "graphql/%s/" % folder
        p = Page(layout)
        p.pin("board")
        for key in ("passed_on", "quoting", "wrapped"):
            p.add(key)
        p.people("who-to-follow-1", ["kite", "mona"])
        p.ad("cheap")
        p.thread("profile-conversation-2", ["gull", "reply_gull"])
        for key in ("waves", "which", "story", "before_views", "essay", "club"):
            p.add(key)
        p.ad("cheap", "tweet-" + POSTS["cheap"]["id"])
        p.add("board")  # a pinned post comes again in its place
        p.ends("DAAtop%d" % layout, "DAAbottom%d-_" % layout)
        p.save(where + "user_tweets.json", in_user(p.instructions(), "timeline" if layout == 3 else "timeline_v2"))

        p = Page(layout)
        for key in ("corrected", "to_somebody", "gone_original", "borrowed", "room", "offer", "live", "in_town", "log_11", "quoting", "gull", "starfish"):
            p.add(key)
        p.ends("DAACtop", "DAACbottom%d" % layout)
        p.save(where + "search.json", in_search(p.instructions()))

        p = Page(layout)
        p.add("question")
        p.thread("conversationthread-%s" % POSTS["answer"]["id"], ["answer", "answer_2"], "reply", more="PAAAmore%d" % layout)
        p.thread("conversationthread-%s" % POSTS["answer_3"]["id"], ["answer_3"], "reply")
        p.tombstone("conversationthread-7-tweet-7", "This Post was deleted by the Post author. Learn more")
        p.entries.append(item_cursor("cursor-showmorethreads-9", "ShowMoreThreads", "NwAAthreads"))
        p.cursors["ShowMoreThreads"] = "NwAAthreads"
        p.save(where + "tweet_details.json", in_thread(p.instructions([BOTTOM_END])))

        p = Page(layout)
        for key in ("log_3", "board", "wrapped"):
            p.add(key)
        p.thread("list-conversation-5", ["question", "answer"])
        p.ends("LtopA", "LbottomA")
        p.save(where + "list_timeline.json", in_list(p.instructions()))

        p = Page(layout)
        for key in ("harbour", "tide", "kite", "mona", "ferry", "lamp"):
            p.person(key)
        p.missing_person("1748684313057538048")
        p.ends("-1|9", "187|%d" % layout)
        p.save(where + "followers.json", in_user(p.instructions()))

        a = ACCOUNTS["harbour"]
        put_json(where + "user_by_login.json", dict(data=dict(user=dict(result=user(a, layout)))))
        put_expectation(where + "user_by_login.json", posts=[], nested_posts=[], users=[want_user(a, layout)])

        p = Page(layout)
        p.person("kite")
        p.person("harbour")
        p.ends("Mtop", "Mbottom")
        p.save(where + "list_members.json", in_list(p.instructions([TOP_END]), "members_timeline"))
        p = Page(layout)
        for key in ("club", "essay"):
            p.add(key)
        p.ends("Ctop", "Cbottom")
        p.save(where + "community_tweets.json", in_community(p.instructions()))
        a = ACCOUNTS["tide"]
        put_json(where + "community_members.json", dict(data=dict(communityResults=dict(id="Q", result=dict(
            __typename="Community", id="Q", members_slice=dict(items_results=[dict(id="V", result=member(a, layout))],
                                                               slice_info=dict(next_cursor="sliceNext")))))))
        put_expectation(where + "community_members.json", posts=[], nested_posts=[], users=[want_user(a, layout, True)],
                        cursors=dict(Bottom="sliceNext"))

    where = "graphql/l3/"
    p = Page(3)
    for key in ("mona", "tide"):
        p.person(key)
    p.missing_person("12")
    p.ends("HCatop", "HBabottom==")
    p.save(where + "retweeters.json", dict(data=dict(retweeters_timeline=dict(timeline=dict(instructions=p.instructions())))))
    put_json(where + "community_info.json", dict(data=dict(communityResults=dict(id="Q", result=dict(__typename="Community",
             rest_id="1506777270324764673", name="Kites & co", member_count=7, creator_results=dict(id="V", result=dict(
                 __typename="User", core=dict(screen_name="kite_museum"))))))))
    put_expectation(where + "community_info.json", state="no_posts", posts=[], nested_posts=[])
    b = ACCOUNTS["harbour"]
    about = {k: user_l3(b)[k] for k in ("__typename", "id", "rest_id", "avatar", "core", "is_blue_verified", "privacy",
                                        "profile_image_shape", "verification")}
    about["about_profile"] = dict(account_based_in="Westhaven", location_accurate=True, source="Web",
                                  affiliate_username="kite_museum", username_changes=dict(count="1", last_changed_at_msec="1690335192280"))
    put_json(where + "user_about.json", dict(data=dict(user_result_by_screen_name=dict(id="V", result=about))))
    put_expectation(where + "user_about.json", posts=[], nested_posts=[], users=[dict(want_user(b, 3, True), created_at=b["created"], also={
        "about.based_in": "Westhaven", "about.name_changes": 1, "about.last_change_ms": 1690335192280, "affiliate.screen_name": "kite_museum"})])
    frames = [entry("trend-%d" % i, 9 - i, single(dict(__typename="TimelineFrame", itemType="TimelineFrame", payload="DAAB")))
              for i in range(3)]
    put_json(where + "trends.json", dict(data=dict(timeline=dict(timeline=dict(instructions=[dict(type="TimelineClearCache"),
             BOTTOM_END, dict(type="TimelineAddEntries", entries=frames + [cursor("Top", "DAAJ", 1), cursor("Bottom", "DAAD")])])))))
    put_expectation(where + "trends.json", state="no_posts", posts=[], nested_posts=[], cursors=dict(Top="DAAJ", Bottom="DAAD"))
    p = Page(1)
    for key in ("starfish", "before_views", "old"):
        p.add(key)
    p.ends("KTop", "KBottom")
    p.save("graphql/l1/likes.json", in_user(p.instructions(), "timeline_v2"))


def grid(name, page, keys):
    return [module_item("%s-tweet-%s" % (name, POSTS[k]["id"]), page.content(k, tweetDisplayType="MediaGrid")) for k in keys]


def cases():
    where = "graphql/cases/"
    for name, keys in (("card_poll", ["which"]), ("card_summary", ["board"]), ("quote_in_visibility", ["wrapped"]),
                       ("long_post", ["story"]), ("old_id", ["old"]), ("article", ["essay"])):
        p = Page(2)
        for key in keys:
            p.add(key)
        if name == "card_poll":  # what else might be liked goes by another name
            p.entries.append(module("module-5", p.place(), [module_item("YouMightAlsoLike:" + POSTS[k]["id"], p.content(k, "related"))
                                                            for k in ("unrelated", "club")]))
        p.save(where + name + ".json", in_thread(p.instructions([BOTTOM_END])))
    for name, key in (("by_id_community", "club"), ("by_id_old", "old"), ("by_id_article", "essay")):
        p = Page(3)
        p.note(key, "main")
        p.save(where + name + ".json", dict(data=dict(tweetResult=dict(result=tweet(key, 3)))))
    p = Page(3)
    p.note("wrapped", "main")
    p.note("gull", "main")
    p.save(where + "batch_by_ids.json", dict(data=dict(tweetResult=[dict(result=tweet(k, 3)) for k in ("wrapped", "gull")])))
    p = Page(3)
    p.note("starfish", "timeline")
    p.save(where + "bare_entry.json", entry("tweet-1", 5, single(item_content(tweet("starfish", 3)))))
    p = Page(3)
    p.people("toptabsrpusermodule-20", ["mona", "kite"])
    p.add("question")
    p.ends("Stop", "Sbottom")
    p.save(where + "search_top_people.json", in_search(p.instructions()))
    p = Page(3)
    p.add("question")
    p.thread("conversationthread-%s" % POSTS["answer"]["id"], ["answer"], "reply")
    p.ad("cheap")
    p.thread("conversationthread-%s" % POSTS["answer_3"]["id"], ["answer_3"], "reply")
    p.tombstone("tweet-1234567890123456789", "This Post is from a suspended account. Learn more")
    p.tombstone("tweet-1234567890123456790", "You’re unable to view this Post because this account owner limits who can view "
                "their Posts. Learn more")
    p.tombstone("tweet-1234567890123456791", "Age-restricted adult content. This content might not be appropriate for people "
                "under 18 years old. To view this media, you’ll need to log in to X. Learn more")
    p.thread("tweetdetailrelatedtweets-9", ["unrelated"], "related", "Vertical")
    p.entries.append(item_cursor("cursor-showmorethreadsprompt-3", "ShowMoreThreadsPrompt", "prompt"))
    p.cursors["ShowMoreThreadsPrompt"] = "prompt"
    p.entries.append(item_cursor("cursor-bottom-4", "Bottom", "threadBottom"))
    p.cursors["Bottom"] = "threadBottom"
    p.save(where + "thread_with_promoted.json", in_thread(p.instructions()))
    p = Page(2)
    p.entries.append(module("profile-grid-0", p.place(), grid("profile-grid-0", p, ["starfish", "waves", "gull"]), "VerticalGrid"))
    p.ends("Gtop", "Gbottom")
    p.save("graphql/l2/user_media.json", in_user(p.instructions([TOP_END]), "timeline_v2"))


def errors():
    where = "graphql/errors/"

    def refused(name, code, message, kind, state):
        e = dict(message=message, locations=[], path=["search_by_raw_query"], extensions=dict(name=kind, code=code, kind="Validation"),
                 code=code, name=kind, kind="Validation", source="Client")
        put_json(where + name + ".json", dict(errors=[e], data={}))
        put_expectation(where + name + ".json", state=state, posts=[], nested_posts=[],
                        errors=[dict(code=code, message=message, name=kind)])

    refused("search_denylisted", 214, "BadRequest: Query is denylisted in Search Content Control tool.", "BadRequestError", "query_rejected")
    refused("search_empty_query", 214, "BadRequest: ERROR_EMPTY_QUERY", "BadRequestError", "query_rejected")
    refused("search_query_too_long", 214, "BadRequest: Raw query length 600 exceeds max allowed 512", "BadRequestError", "query_rejected")
    put_json(where + "user_suspended.json", dict(data=dict(user=dict(rest_id="20", result=dict(__typename="UserUnavailable",
             message="User is suspended", reason="Suspended")))))
    put_expectation(where + "user_suspended.json", state="suspended", posts=[], nested_posts=[],
                    unavailable=[dict(reason="UserUnavailable: Suspended")])
    for reason, state in (("Suspended", "suspended"), ("Protected", "protected"), ("Deleted", "deleted"),
                          ("NsfwLoggedOut", "age_restricted")):
        name = "tweet_unavailable_%s.json" % state
        put_json(where + name, dict(data=dict(tweetResult=dict(result=dict(__typename="TweetUnavailable", reason=reason)))))
        put_expectation(where + name, state=state, posts=[], nested_posts=[],
                        unavailable=[dict(reason="TweetUnavailable: " + reason)])
    for text, state in (("This Post is from a suspended account. Learn more", "suspended"),
                        ("This Post was deleted by the Post author. Learn more", "deleted")):
        p = Page(3)
        p.tombstone("tweet-991503", text)
        p.save(where + "detail_tombstone_%s.json" % state, in_thread(p.instructions()), state=state)


def sequences():
    """Pages of a list, and all of it."""
    where = "graphql/seq/"
    seen = []

    def union(name, pages, reason):
        posts = []
        for p in pages:
            posts += [w for w in p.posts if w["id"] not in [x["id"] for x in posts]]
        put(where + name + "_UNION.expect.json", json.dumps(dict(schema="xdata-expect/1", kind="sequence",
            sources=[where + "%s_%d.json" % (name, i + 1) for i in range(len(pages))], end_reason=reason,
            posts=posts), ensure_ascii=False, indent=1) + "\n")

    for i, keys in enumerate((["log_11", "log_10", "log_9"], ["log_9", "log_8", "log_7", "log_6"], ["log_6", "log_5"], [])):
        p = Page(1)
        for key in keys:
            p.add(key)
        top, bottom = "SeqTop%d" % i, "SeqBottom%d" % min(i, 2)
        if i == 0:
            p.ends(top, bottom)
            body = [dict(type="TimelineAddEntries", entries=p.entries)]
        else:
            p.cursors = dict(Top=top, Bottom=bottom)
            body = [dict(type="TimelineAddEntries", entries=p.entries)] + [
                dict(type="TimelineReplaceEntry", entry_id_to_replace="cursor-%s-0" % k.lower(), entry=cursor(k, v))
                for k, v in (("Top", top), ("Bottom", bottom))]
        p.save(where + "search_%d.json" % (i + 1), in_search(body))
        seen.append(p)
    union("search", seen, "empty page + repeated cursor")

    pages = []
    for i, keys in enumerate((["starfish", "waves"], ["waves", "gull"])):
        p = Page(2)
        if i == 0:
            p.entries.append(module("profile-grid-0", p.place(), grid("profile-grid-0", p, keys), "VerticalGrid"))
            p.ends("MTop0", "MBottom0")
            body = p.instructions()
        else:
            items = grid("profile-grid-0", p, keys)
            p.ends("MTop1", "MBottom1")
            body = [dict(type="TimelineClearCache"), dict(type="TimelineAddToModule", moduleItems=items,
                    moduleEntryId="profile-grid-0", prepend=False), dict(type="TimelineAddEntries", entries=p.entries)]
        p.save(where + "media_%d.json" % (i + 1), in_user(body, "timeline_v2"))
        pages.append(p)
    union("media", pages, None)

    pages = []
    for i, keys in enumerate((["log_11", "log_10"], ["log_9", "passed_on"], ["quoting", "which"])):
        p = Page(3)
        if i == 0:
            p.pin("board")
        for key in keys:
            p.add(key)
        p.ends("PTop%d" % i, "PBottom%d" % i)
        p.save(where + "posts_%d.json" % (i + 1), in_user(p.instructions([BOTTOM_END] if i == 2 else [])))
        pages.append(p)
    union("posts", pages, "terminate")


# ---- syndication, oEmbed, pages for crawlers ----

def want_shown_counts(p, *names):
    return {n: p["counts"].get(n) if n in names else None for n in ("reply", "repost", "like", "quote", "bookmark", "view")}


def syndication_user(a):
    u = dict(id_str=a["id"], name=a["name"], screen_name=a["screen_name"], is_blue_verified=a["blue"], verified=False,
             profile_image_shape=a["shape"], profile_image_url_https=face(a))
    if a["kind"]:
        u["verified_type"] = a["kind"]
    return u


def syndication_again(p):
    """What syndication tells of files a second time."""
    pictures = [v for v in p["media"] if v["kind"] == "photo"]
    films = [v for v in p["media"] if v["kind"] != "photo"]
    again = {}
    if pictures:
        again["photos"] = [dict(backgroundColor=dict(red=204, green=214, blue=221), cropCandidates=[], expandedUrl=permalink(p) +
                           "/photo/1", url=v["picture"], width=v["width"], height=v["height"]) for v in pictures]
    if films:
        v = films[0]
        again["video"] = dict(aspectRatio=[16, 9], contentType="media_entity", durationMs=v["ms"] or 0, poster=v["picture"],
                              mediaAvailability=dict(status="available"), videoId=dict(type="tweet", id=p["id"]), viewCount=0,
                              variants=[dict(type=t, src=u) for _, t, u in v["variants"]])
    return again


def syndication_tweet(key, top=True):
    p = POSTS[key]
    raw, entities, shown, place = sent(dict(p, parts=p["parts"][:p["cut"]]), True)
    t = dict(__typename="Tweet", lang=p["lang"], favorite_count=p["counts"]["like"], created_at=p["at"][:-1] + ".000Z",
             display_text_range=shown, entities={k: v for k, v in entities.items() if v}, id_str=p["id"], text=raw,
             user=syndication_user(ACCOUNTS[p["author"]]), edit_control=dict(edit_tweet_ids=edit_ids(p),
             editable_until_msecs=str(ms_of(p["at"]) + 3600000), is_edit_eligible=True, edits_remaining="5"),
             isEdited=bool(p["edits"]), isStaleEdit=False)
    if p["sensitive"] is not None:
        t["possibly_sensitive"] = p["sensitive"]
    if p["media"]:
        t["entities"]["media"] = [dict(display_url="pic.x.com/m", expanded_url=permalink(p), indices=place, url=media_link(p))]
        t["entities"]["media"] *= len(p["media"])
        t["mediaDetails"] = [{k: v for k, v in media_json(p, v, place).items() if k not in ("id_str", "media_key")} for v in p["media"]]
        t.update(syndication_again(p))
    if p["long"]:
        t["note_tweet"] = dict(id=node_id("NoteTweet", p["id"]))
    if p["card"]:
        t["card"] = dict(name=p["card"]["name"], url="card://1", binding_values=card_values(p["card"]))
    if p["reply"]:
        to = POSTS[p["reply"]]
        t.update(in_reply_to_screen_name=ACCOUNTS[to["author"]]["screen_name"], in_reply_to_status_id_str=to["id"],
                 in_reply_to_user_id_str=ACCOUNTS[to["author"]]["id"])
        if top:
            t["parent"] = syndication_tweet(p["reply"], False)
    if p["quote"] and top:
        t["quoted_tweet"] = syndication_tweet(p["quote"], False)
    if top:
        t.update(conversation_count=p["counts"]["reply"], news_action_type="conversation")
    else:
        t.update(reply_count=p["counts"]["reply"], retweet_count=p["counts"]["repost"])
    return t


def want_syndicated(key):
    p = POSTS[key]
    w = want_post(p)
    more = {"also": {"card.image": card_picture(p["card"])}} if p["card"] and "choices" not in p["card"] else {}
    r = {k: w[k] for k in ("id", "author", "author_id", "author_name", "created_at", "lang", "urls", "hashtags", "mentions",
                           "reply_to_id", "reply_to_author", "card", "possibly_sensitive", "edit_ids", "media")}
    r.update(text=w["text"], text_truncated=p["long"], counts=want_shown_counts(p, "reply", "like"), quote=None,
             parent_id=w["reply_to_id"])
    if p["long"]:
        cut = dict(p, parts=p["parts"][:p["cut"]])
        r.update(text=text_of(cut), urls=[x[2] for x in cut["parts"] if x[0] == "url"], hashtags=words(cut, "tag"),
                 mentions=[ACCOUNTS[k]["screen_name"] for k in words(cut, "at")])
    if p["quote"]:
        q = POSTS[p["quote"]]
        a = ACCOUNTS[q["author"]]
        r["quote"] = dict(id=q["id"], author=a["screen_name"], author_id=a["id"], created_at=q["at"], text=text_of(q),
                          counts={k: q["counts"][k] for k in ("reply", "repost", "like")})
    return dict(r, **more)


def base36(number):
    """A number's digits as scripts write them: until what is left says nothing about this number any more. In the
    arithmetic of scripts, whose every step is rounded."""
    rest, half = math.fmod(number, 1.0), (math.nextafter(number, math.inf) - number) / 2
    whole_part, digits, text = int(number), [], ""
    while rest >= half:
        rest, half = rest * 36, half * 36
        digits.append(int(rest))
        rest -= digits[-1]
        if (rest > 0.5 or (rest == 0.5 and digits[-1] % 2)) and rest + half > 1:
            while digits and digits[-1] == 35:  # the last digit goes up, and takes those before it along
                digits.pop()
            if digits:
                digits[-1] += 1
            else:
                whole_part += 1
            break
    while whole_part or not text:
        text, whole_part = SIGNS[whole_part % 36] + text, whole_part // 36
    return text + ("." if digits else "") + "".join(SIGNS[d] for d in digits)


SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"


def token(number):
    return base36(number / 1e15 * math.pi).replace(".", "").replace("0", "")


def tokens():
    numbers = [p["id"] for p in POSTS.values()] + [str(7 ** n) for n in range(1, 23)] + [str(10 ** n - 1) for n in range(1, 20)]
    numbers += [str(int(2 ** 64 / 200 * n) + n) for n in range(1, 180)]
    put("syndication/token_vectors.json", json.dumps(dict(vectors=[[n, token(int(n))] for n in numbers]), indent=1) + "\n")


def syndication():
    where = "syndication/"
    for name, key in (("text", "answer_3"), ("photos", "starfish"), ("video", "waves"), ("gif", "gull"), ("quote", "quoting"),
                      ("long", "story"), ("poll", "which"), ("card", "board"), ("reply", "reply_gull"), ("escaped", "before_views"),
                      ("mixed", "three_kinds"), ("edited", "corrected")):
        put_json(where + name + ".json", syndication_tweet(key))
        put_expectation(where + name + ".json", kind="syndication-tweet", state="ok", posts=[want_syndicated(key)],
                        token=token(int(POSTS[key]["id"])))
    tombstone = "This Post was deleted by the Post author. Learn more"
    for name, body, state, gone in (
            ("tombstone", dict(__typename="TweetTombstone", tombstone=dict(text=dict(text=tombstone, entities=[], rtl=False))), "deleted",
             [dict(reason="tombstone: " + tombstone)]),
            ("tombstone_empty", dict(__typename="TweetTombstone", tombstone={}), "age_restricted", None), ("empty", {}, "not_found", None)):
        put(where + name + ".json", json.dumps(body, separators=(",", ":")))
        more = dict(unavailable=gone) if gone else {}
        put_expectation(where + name + ".json", kind="syndication-tweet", state=state, posts=[], **more)

    def next_data(entries, has):
        return ('<!DOCTYPE html><html lang="en"><head><title>Timeline</title></head><body><div id="__next"></div><script '
                'id="__NEXT_DATA__" type="application/json">%s</script></body></html>' % json.dumps(dict(props=dict(pageProps=dict(
                    contextProvider=dict(hasResults=has), timeline=dict(entries=entries),
                    headerProps=dict(screenName="harbour_notes")))), ensure_ascii=False).replace("</", "<\\/"))

    def old_tweet(key, inside=True):
        p = POSTS[key]
        raw, entities, shown, place = sent(p, True)
        w = whole(p)
        if p["repost"]:
            raw = "RT @%s: %s…" % (ACCOUNTS[w["author"]]["screen_name"], escaped(text_of(w))[:100])
        c = p["counts"]
        t = dict(id_str=p["id"], full_text=raw, text=raw, created_at=x_time(p["at"]), lang=w["lang"],
                 entities=entities if key == "board" else {k: v for k, v in entities.items() if v},
                 conversation_id_str=conversation(p), favorite_count=c["like"], retweet_count=c["repost"], reply_count=c["reply"],
                 quote_count=c["quote"], permalink="/%s/status/%s" % (ACCOUNTS[p["author"]]["screen_name"], p["id"]),
                 display_text_range=shown, user=dict(syndication_user(ACCOUNTS[p["author"]]), followers_count=1))
        if p["media"]:
            t["extended_entities"] = dict(media=[media_json(p, v, place) for v in p["media"]])
        if p["repost"] and inside:
            t["retweeted_status"] = old_tweet(p["repost"], False)
        if p["quote"]:
            t.update(is_quote_status=True, quoted_status_id_str=POSTS[p["quote"]]["id"])
        if p["quote"] and inside:
            t["quoted_status"] = old_tweet(p["quote"], False)
        if p["reply"]:
            to = POSTS[p["reply"]]
            t.update(in_reply_to_screen_name=ACCOUNTS[to["author"]]["screen_name"], in_reply_to_status_id_str=to["id"],
                     in_reply_to_user_id_str=ACCOUNTS[to["author"]]["id"])
        if p["sensitive"] is not None:
            t["possibly_sensitive"] = p["sensitive"]
        if c["bookmark"] is not None:
            t["bookmark_count"] = c["bookmark"]
        return t

    keys = ["board", "waves", "passed_on", "which", "quoting", "reply_gull", "log_0"]
    POSTS["passed_on"]["repost"], kept = "starfish", POSTS["passed_on"]["repost"]  # the old shape has no long posts
    put(where + "timeline_profile.html", next_data([dict(type="tweet", entry_id="tweet-" + POSTS[k]["id"], sort_index=POSTS[k]["id"],
        content=dict(tweet=old_tweet(k))) for k in keys], True))
    posts = []
    for k in keys:
        w = want_post(POSTS[k])
        posts.append(dict({n: w[n] for n in ("id", "author", "created_at", "text", "repost_of", "repost_of_author", "reply_to_id",
                                             "reply_to_author", "possibly_sensitive")},
                          counts=w["counts"] and {n: w["counts"][n] for n in ("reply", "repost", "like", "quote", "bookmark")},
                          also=dict(quote_of=w["quote_of"]),
                          media=[dict(type=m["type"], url=m["url"]) for m in w["media"]]))
    POSTS["passed_on"]["repost"] = kept
    put_expectation(where + "timeline_profile.html", kind="syndication-profile", state="ok", posts=posts)
    put(where + "timeline_profile_empty.html", next_data([], False))
    put_expectation(where + "timeline_profile_empty.html", kind="syndication-profile", state="empty_or_withheld", posts=[])

    p, a = POSTS["board"], ACCOUNTS["harbour"]
    raw = sent(p, True)[0]
    body = raw.replace("https://t.co/boardLink1", '<a href="https://t.co/boardLink1">https://t.co/boardLink1</a>')
    put_json("oembed/oembed.json", dict(url="https://twitter.com/%s/status/%s" % (a["screen_name"], p["id"]), author_name=a["name"],
             author_url="https://twitter.com/" + a["screen_name"], html='<blockquote class="twitter-tweet"><p lang="en" dir="ltr">%s</p>'
             '&mdash; %s (@%s) <a href="https://twitter.com/%s/status/%s?ref_src=twsrc%%5Etfw">February 6, 2024</a></blockquote>\n' % (
                 body, a["name"], a["screen_name"], a["screen_name"], p["id"]), width=550, height=None, type="rich", version="1.0"))
    put_expectation("oembed/oembed.json", kind="oembed", state="ok", posts=[dict(id=p["id"], author=a["screen_name"],
                    author_name=a["name"], created_date="2024-02-06", text_tco=html.unescape(raw))])
    for name, key in (("og_photo", "starfish"), ("og_text", "before_views"), ("og_gif", "gull")):
        p, a = POSTS[key], ACCOUNTS[POSTS[key]["author"]]
        text, picture = html.unescape(sent(p, True)[0]), p["media"][0]["picture"] + ":large" if p["media"] else None
        metas = [("og:type", "article"), ("og:url", "https://twitter.com/%s/status/%s" % (a["screen_name"], p["id"])),
                 ("og:title", "%s (@%s) on X" % (a["name"], a["screen_name"])), ("og:description", text),
                 ("og:image", picture or face(a)), ("al:ios:url", "twitter://status?id=" + p["id"]), ("al:ios:app_name", "X"),
                 ("al:android:url", "twitter://status?id=" + p["id"]), ("al:android:package", "com.twitter.android")]
        again = '<meta content="%s" name="description"><meta content="%s (@%s) on X" name="title">' % (
            html.escape(text), html.escape(a["name"]), a["screen_name"])
        site = json.dumps({"@context": "https://schema.org", "@type": "WebSite", "url": "https://twitter.com/"})
        put("ssr/%s.html" % name, '<!DOCTYPE html><html dir="ltr" lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            'content="width=device-width"><meta property="fb:app_id" content="2231777543"><meta content="X (formerly Twitter)" '
            'property="og:site_name"><script type="application/ld+json">%s</script>%s%s<title>%s</title><link rel="canonical" '
            'href="https://twitter.com/%s/status/%s"></head><body><div id="react-root"></div></body></html>' % (site, "".join(
                '<meta content="%s" property="%s">' % (html.escape(v), k) for k, v in metas), again, p["id"], a["screen_name"], p["id"]))
        put_expectation("ssr/%s.html" % name, kind="ssr-og", state="ok", posts=[dict(id=p["id"], author=a["screen_name"],
                        author_name=a["name"], text=text, image=picture)])


# ---- Nitter ----

def pic(url, orig=False):
    return "/pic/%s%s" % ("orig/" if orig else "", urllib.parse.quote(url.replace("https://pbs.twimg.com/", ""), safe=""))


def nitter_links(p):
    out = ""
    for x in p["parts"]:
        if isinstance(x, str):
            out += html.escape(x, quote=False)
        elif x[0] == "url":
            out += '<a href="%s">%s</a>' % (html.escape(x[2]), html.escape(x[3], quote=False))
        elif x[0] == "at":
            a = ACCOUNTS[x[1]]
            out += '<a href="/%s" title="%s">@%s</a>' % (a["screen_name"], html.escape(a["name"]), a["screen_name"])
        else:
            mark = "#" if x[0] == "tag" else "$"
            out += '<a href="/search?f=tweets&amp;q=%s">%s%s</a>' % (urllib.parse.quote(mark + x[1]), mark, x[1])
    return out


def nitter_time(text):
    return moment(text).strftime("%b %-d, %Y · %-I:%M %p UTC")


def nitter_person(a):
    return ('<div class="tweet-header"><a class="tweet-avatar" href="/%s"><img class="avatar round" src="%s" alt=""/></a><div '
            'class="tweet-name-row"><div class="fullname-and-username"><a class="fullname" href="/%s" title="%s">%s</a>%s<a '
            'class="username" href="/%s" title="@%s">@%s</a></div>' % (
                a["screen_name"], pic(face(a).replace("_normal", "_bigger")), a["screen_name"], html.escape(a["name"]),
                html.escape(a["name"], quote=False), '<div class="verified-icon blue"></div>' if a["blue"] else "",
                a["screen_name"], a["screen_name"], a["screen_name"]))


def nitter_media(p):
    out = ""
    for v in p["media"]:
        if v["kind"] == "photo":
            alt = '<p class="alt-text">%s</p>' % html.escape(v["alt"], quote=False) if v["alt"] else ""
            out += '<div class="attachment image"><a class="still-image" href="%s" target="_blank"><img src="%s" alt=""/></a>%s</div>' % (
                pic(v["picture"], True), pic(v["picture"] + "?name=small"), alt)
        elif v["kind"] == "gif":
            alt = '<p class="alt-text">%s</p>' % html.escape(v["alt"], quote=False) if v["alt"] else ""
            out += ('<div class="attachment"><video class="gif" poster="%s" autoplay muted loop><source src="/pic/%s" '
                    'type="video/mp4"/></video>%s</div>' % (pic(v["picture"]), urllib.parse.quote(v["url"][8:], safe=""), alt))
        else:
            out += ('<div class="attachment video-container"><video poster="%s" data-url="/video/AB12/%s"></video><a class='
                    '"video-download" href="/video/CD34/%s">Download</a></div>' % (pic(v["picture"]),
                    urllib.parse.quote(v["variants"][0][2], safe=""), urllib.parse.quote(v["url"], safe="")))
    return '<div class="attachments"><div class="gallery-row">%s</div></div>' % out if out else ""


def nitter_stats(p):
    out = ""
    for icon, name in (("comment", "reply"), ("retweet", "repost"), ("heart", "like"), ("views", "view")):
        n = p["counts"][name]
        out += '<span class="tweet-stat"><div class="icon-container"><span class="icon-%s" title=""></span> %s</div></span>' % (
            icon, "{:,}".format(n) if n else "")
    return '<div class="tweet-stats">%s</div>' % out


def nitter_quote(key):
    q = POSTS[key]
    a = ACCOUNTS[q["author"]]
    return ('<div class="quote quote-big"><a class="quote-link" href="/%s/status/%s#m"></a><div class="tweet-name-row"><div class='
            '"fullname-and-username"><a class="fullname" href="/%s" title="%s">%s</a><a class="username" href="/%s">@%s</a></div><span '
            'class="tweet-date"><a href="/%s/status/%s#m" title="%s">then</a></span></div><div class="quote-text" dir="auto">%s</div></div>'
            % (a["screen_name"], q["id"], a["screen_name"], html.escape(a["name"]), html.escape(a["name"], quote=False), a["screen_name"],
               a["screen_name"], a["screen_name"], q["id"], nitter_time(q["at"]), nitter_links(q)))


def nitter_item(key, classes="", pinned=False):
    p = POSTS[key]
    w = whole(p)
    a = ACCOUNTS[w["author"]]
    head = '<div class="pinned"><span><div class="icon-container"><span class="icon-pin"></span> Pinned Tweet</div></span></div>' if pinned else ""
    if p["repost"]:
        head = ('<div class="retweet-header"><span><div class="icon-container"><span class="icon-retweet"></span> %s retweeted</div></span>'
                '</div>' % html.escape(ACCOUNTS[p["author"]]["name"], quote=False))
    to = POSTS[w["reply"]] if w["reply"] else None
    reply = ('<div class="replying-to">Replying to <a href="/%s">@%s</a></div>' % ((ACCOUNTS[to["author"]]["screen_name"],) * 2)) if to else ""
    parts = [x for x in w["parts"]]
    body = dict(w, parts=parts[1:] if to and not isinstance(parts[0], str) else parts)
    if to and isinstance(body["parts"][0], str):
        body["parts"] = [body["parts"][0].lstrip()] + body["parts"][1:]
    poll_html = ""
    if w["card"] and "choices" in w["card"]:
        total = sum(n for _, n in w["card"]["choices"])
        poll_html = '<div class="poll">%s<span class="poll-info">%s votes • %s</span></div>' % ("".join(
            '<div class="poll-meter"><span class="poll-choice-bar" style="width: %d%%"></span><span class="poll-choice-value">%d%%</span>'
            '<span class="poll-choice-option">%s</span></div>' % (n * 100 // total, n * 100 // total, html.escape(label, quote=False))
            for label, n in w["card"]["choices"]), "{:,}".format(total), "Final results" if w["card"]["final"] else "1 day")
    elif w["card"]:
        poll_html = ('<div class="card large"><a class="card-container" href="%s"><div class="card-image-container"><div class="card-image">'
                     '<img src="%s" alt=""/></div></div><div class="card-content"><h2 class="card-title">%s</h2><p class="card-description">About it'
                     '</p><span class="card-destination">%s</span></div></a></div>' % (html.escape(w["parts"][1][2]), pic(card_picture(w["card"])),
                     html.escape(w["card"]["title"], quote=False), w["card"]["domain"]))
    return ('<div class="timeline-item %s" data-username="%s"><a class="tweet-link" href="/%s/status/%s#m"></a><div class="tweet-body">'
            '<div>%s%s<span class="tweet-date"><a href="/%s/status/%s#m" title="%s">then</a></span></div></div></div>%s<div '
            'class="tweet-content media-body" dir="auto">%s</div>%s%s%s%s</div></div>' % (
                classes, a["screen_name"], a["screen_name"], w["id"], head, nitter_person(a), a["screen_name"], w["id"],
                nitter_time(w["at"]), reply, nitter_links(body), nitter_media(w), poll_html,
                nitter_quote(w["quote"]) if w["quote"] else "", nitter_stats(w)))


def want_nitter(key, section=None, pinned=False):
    p = POSTS[key]
    w = whole(p)
    a = ACCOUNTS[w["author"]]
    counts = {k: w["counts"][k] or 0 for k in ("reply", "repost", "like")}
    counts["view"] = w["counts"]["view"]
    words_of = text_of(w)
    if w["reply"]:
        words_of = text_of(dict(w, parts=w["parts"][1:]))
    media = []
    for v in w["media"]:
        m = dict(type=v["kind"], url=v["url"], alt=v["alt"])
        if v["kind"] != "photo":
            m["thumb"] = v["picture"]
        media.append(m)
    r = dict(id=w["id"], author=a["screen_name"], author_name=a["name"], created_at=w["at"], text=words_of, counts=counts, media=media,
             pinned=pinned, reposted_by_name=ACCOUNTS[p["author"]]["name"] if p["repost"] else None, quote=None)
    if w["quote"]:
        q = POSTS[w["quote"]]
        r["quote"] = dict(id=q["id"], author=ACCOUNTS[q["author"]]["screen_name"], text=text_of(q))
    if w["card"] and "choices" not in w["card"]:
        r["also"] = {"card.image": card_picture(w["card"]), "card.description": "About it"}
    if section:
        r["section"] = section
    return r


def nitter_page(title, inside):
    return ('<!DOCTYPE html>\n<html lang="en"><head><title>%s|nitter</title></head><body><nav><a class="site-name" href="/">nitter</a></nav>'
            '<div class="container">%s</div></body></html>\n' % (title, inside))


def more(url):
    return '<div class="show-more"><a href="%s">Load more</a></div>' % html.escape(url)


NEWEST = '<div class="timeline-item show-more"><a href="/x">Load newest</a></div>'


def nitter_profile_card(a):
    joined = moment(a["created"]).strftime("%-I:%M %p - %-d %b %Y")
    stats = "".join('<li class="%s"><span class="profile-stat-header">%s</span><span class="profile-stat-num">%s</span></li>' % (
        k, k, "{:,}".format(a[k])) for k in ("posts", "following", "followers", "likes"))
    wide = '<div class="profile-banner"><a href="%s"></a></div>' % pic(banner(a) + "/1500x500") if a["banner"] else ""
    site = '<div class="profile-website"><span><a href="%s">site</a></span></div>' % a["site"][1] if a["site"] else ""
    return ('<div class="profile-tab">%s<div class="profile-card"><div class='
            '"profile-card-info"><a class="profile-card-avatar" href="%s"></a><a class="profile-card-fullname" href="/%s" title="%s">%s</a>'
            '<a class="profile-card-username" href="/%s" title="@%s">@%s</a></div><div class="profile-bio"><p dir="auto">%s</p></div><div '
            'class="profile-location"><span><span class="icon-location"></span></span><span>%s</span></div>%s<div class="profile-joindate"><span title="%s">Joined</span></div><ul class='
            '"profile-statlist">%s</ul></div></div>' % (
                wide, pic(face(a).replace("_normal", ""), True), a["screen_name"], html.escape(a["name"]),
                html.escape(a["name"], quote=False), a["screen_name"], a["screen_name"], a["screen_name"],
                html.escape(a["bio"], quote=False), a["location"], site, joined, stats))


# ---- Nitter as it was in 2020: laid out over many lines, times to the second, no views, files without a folder of their own ----

def old_pic(url, size="orig"):
    return "/pic/" + urllib.parse.quote("%s?name=%s" % (url.replace("https://pbs.twimg.com/", ""), size), safe="")


def old_time(text):
    return moment(text).strftime("%-d/%-m/%Y, %H:%M:%S")


def old_person(a, size, face_first):
    picture = '<img class="avatar%s" src="%s" alt="" />' % ("" if face_first else " mini", pic(face(a).replace("_normal", size)))
    names = """<a class="fullname" href="/%s" title="%s">%s</a>
  <a class="username" href="/%s" title="@%s">@%s</a>""" % (a["screen_name"], html.escape(a["name"]), html.escape(a["name"], quote=False),
                                                      a["screen_name"], a["screen_name"], a["screen_name"])
    outside = '<a class="tweet-avatar" href="/%s">%s</a>' % (a["screen_name"], picture) if face_first else ""
    return outside, '<div class="fullname-and-username">\n  %s%s\n</div>' % ("" if face_first else picture, names)


def old_links(p):
    return nitter_links(p).replace("/search?f=tweets&amp;q=", "/search?q=").replace("\n", "\n" + " " * 12)


def old_date(p):
    return '<span class="tweet-date"><a href="/%s/status/%s#m" title="%s">%s</a></span>' % (
        ACCOUNTS[p["author"]]["screen_name"], p["id"], old_time(p["at"]), moment(p["at"]).strftime("%b %-d"))


def old_quote(p):
    if p["quote_gone"]:
        return '<div class="quote unavailable">\n  <div class="unavailable-quote">This tweet is unavailable</div>\n</div>'
    if not p["quote"]:
        return ""
    q = POSTS[p["quote"]]
    return """<div class="quote quote-big">
  <a class="quote-link" href="/%s/status/%s#m"></a>
  <div class="tweet-name-row">%s%s</div>
  <div class="quote-text">%s</div>
</div>""" % (ACCOUNTS[q["author"]]["screen_name"], q["id"], old_person(ACCOUNTS[q["author"]], "_mini", False)[1], old_date(q), old_links(q))


def old_item(key, pinned=False):
    p = POSTS[key]
    w = whole(p)
    a = ACCOUNTS[w["author"]]
    above = ""
    if pinned:
        above = '<div class="pinned"><span>\n  <div class="icon-container"><span class="icon-pin" title=""></span> Pinned Tweet</div>\n</span></div>'
    if p["repost"]:
        above = ('<div class="retweet-header"><span>\n  <div class="icon-container"><span class="icon-retweet" title=""></span> %s retweeted'
                 '</div>\n</span></div>' % html.escape(ACCOUNTS[p["author"]]["name"], quote=False))
    pictures = "".join('<div class="attachment image"><a class="still-image" href="%s" target="_blank"><img src="%s" alt="" /></a></div>' % (
        old_pic(v["picture"]), old_pic(v["picture"], "small")) for v in w["media"])
    attachments = '<div class="attachments">\n  <div class="gallery-row" style="">%s</div>\n</div>' % pictures if pictures else ""
    stats = "\n".join('<span class="tweet-stat">\n  <div class="icon-container"><span class="icon-%s" title=""></span> %s</div>\n</span>' % (
        icon, "{:,}".format(w["counts"][k])) for icon, k in (("comment", "reply"), ("retweet", "repost"), ("heart", "like")))
    outside, names = old_person(a, "_normal", True)
    return """<div class="timeline-item ">
  <a class="tweet-link" href="/%s/status/%s#m"></a>
  <div class="tweet-body">
    <div>
      %s
      <div class="tweet-header">
        %s
        <div class="tweet-name-row">
          %s
          %s
        </div>
      </div>
    </div>
    <div class="tweet-content media-body" dir="auto">%s</div>
    %s
    %s
    <div class="tweet-stats">%s</div>
    <a class="show-thread" href="/i/status/%s">Show this thread</a>
  </div>
</div>""" % (a["screen_name"], w["id"], above, outside, names, old_date(w), old_links(w), attachments, old_quote(w), stats, w["id"])


def want_old(key, pinned=False):
    r = want_nitter(key, None, pinned)
    r["counts"]["view"] = None
    r.pop("also", None)
    for m in r["media"]:
        m["alt"] = None
    if whole(POSTS[key])["quote_gone"]:
        r["quote"] = dict(unavailable="This tweet is unavailable")
    return r


def nitter_2020():
    a = ACCOUNTS["harbour"]
    post("gone_quote", "harbour", "2026-06-15T09:00:00Z", "What they said, and then took back:", quote_gone=True)
    keys = ["passed_picture", "quoting", "corrected", "gone_quote", "log_5"]
    post("passed_picture", "harbour", "2026-06-15T10:00:00Z", [], repost="starfish")
    stats = "\n".join('<li class="%s">\n  <span class="profile-stat-header">%s</span>\n  <span class="profile-stat-num">%s</span>\n</li>' % (
        k, k.capitalize(), "{:,}".format(a[k])) for k in ("posts", "following", "followers", "likes"))
    rail = "\n".join('<a href="/%s/status/%s#m"><img src="%s" alt="" /></a>' % (a["screen_name"], POSTS[k]["id"], pic(
        POSTS[k]["media"][0]["picture"] + ":thumb")) for k in ("waves", "corrected"))
    page = """<!DOCTYPE html>
<html lang="en">
  <head>
    <title>%(name)s (@%(handle)s) | nitter</title>
    <meta property="og:title" content="%(name)s (@%(handle)s)" />
    <meta property="og:description" content="%(bio)s" />
  </head>
  <body>
    <nav><div class="inner-nav"><div class="nav-item"><a class="site-name" href="/">nitter</a></div></div></nav>
    <div class="container">
      <div class="profile-tabs">
        <div class="profile-banner"><a href="%(banner)s" target="_blank"><img src="%(banner)s" alt="" /></a></div>
        <div class="profile-tab">
          <div class="profile-card">
            <div class="profile-card-info">
              <a class="profile-card-avatar" href="%(face)s" target="_blank"><img src="%(face)s" alt="" /></a>
              <div class="profile-card-tabs-name">
                <a class="profile-card-fullname" href="/%(handle)s" title="%(name)s">%(name)s</a>
                <a class="profile-card-username" href="/%(handle)s" title="@%(handle)s">@%(handle)s</a>
              </div>
            </div>
            <div class="profile-card-extra">
              <div class="profile-bio"><p dir="auto">%(bio)s</p></div>
              <div class="profile-location">
                <span>
                  <div class="icon-container"><span class="icon-location" title=""></span></div>
                </span>
                <span>%(location)s</span>
              </div>
              <div class="profile-website"><span>
                <div class="icon-container"><span class="icon-link" title=""></span></div>
                <a href="%(site)s">site</a>
              </span></div>
              <div class="profile-joindate"><span title="%(joined)s">
                <div class="icon-container"><span class="icon-calendar" title=""></span> Joined</div>
              </span></div>
              <div class="profile-card-extra-links"><ul class="profile-statlist">%(stats)s</ul></div>
            </div>
          </div>
          <div class="photo-rail-card"><div class="photo-rail-grid">%(rail)s</div></div>
        </div>
        <div class="timeline-container">
          <ul class="tab"><li class="tab-item active"><a href="/%(handle)s">Tweets</a></li></ul>
          <div class="timeline">
%(items)s
            <div class="show-more"><a href="?cursor=HBaCwL7dmvLIuSMAAA%%3D%%3D">Load more</a></div>
          </div>
        </div>
      </div>
    </div>
  </body>
</html>
""" % dict(name=html.escape(a["name"], quote=False), handle=a["screen_name"], bio=html.escape(a["bio"]), banner=pic(banner(a) + "/1500x500"),
           face=pic(face(a).replace("_normal", "")), location=a["location"], site=a["site"][1], stats=stats, rail=rail,
           joined=moment(a["created"]).strftime("%-I:%M %p - %-d %b %Y"),
           items="\n".join([old_item("board", True)] + [old_item(k) for k in keys]))
    put("nitter/profile_2020.html", page)
    put_expectation("nitter/profile_2020.html", kind="nitter", state="ok", cursors=dict(Bottom="HBaCwL7dmvLIuSMAAA=="),
                    profile=dict(screen_name=a["screen_name"], name=a["name"], followers=a["followers"], following=a["following"],
                                 posts=a["posts"], likes=a["likes"], description=a["bio"], location=a["location"], url=a["site"][1],
                                 created_at=a["created"]),
                    posts=[want_old("board", True)] + [want_old(k) for k in keys])


def nitter():
    a = ACCOUNTS["harbour"]
    profile = dict(screen_name=a["screen_name"], name=a["name"], followers=a["followers"], following=a["following"], posts=a["posts"],
                   likes=a["likes"], description=a["bio"], location=a["location"], url=a["site"][1], created_at=a["created"])
    shown = ["board", "passed_on", "quoting", "which", "waves", "reply_gull"]
    gone = '<div class="timeline-item unavailable"><div class="unavailable-box">This Post is unavailable.</div></div>'
    put("nitter/profile.html", nitter_page("Harbour Notes", nitter_profile_card(a) + '<div class="timeline-container"><div class='
        '"timeline">' + nitter_item("board", "", True) + "".join(nitter_item(k) for k in shown[1:]) + more("?cursor=DAABCgABGown__cursor")
        + "</div></div>"))
    put_expectation("nitter/profile.html", kind="nitter", state="ok", profile=profile, cursors=dict(Bottom="DAABCgABGown__cursor"),
                    posts=[want_nitter("board", None, True)] + [want_nitter(k) for k in shown[1:]])
    last = ["log_1", "log_0"]
    put("nitter/profile_2.html", nitter_page("Harbour Notes", nitter_profile_card(a) + '<div class="timeline-container"><div class='
        '"timeline">' + NEWEST + "".join(nitter_item(k) for k in last) + "</div></div>"))
    put_expectation("nitter/profile_2.html", kind="nitter", state="ok", profile=profile, posts=[want_nitter(k) for k in last])
    put("nitter/replies.html", nitter_page("Harbour Notes", nitter_profile_card(a) + '<div class="timeline-container"><div class='
        '"timeline"><div class="thread-line">' + nitter_item("gull", "thread") + '<div class="timeline-item thread more-replies-thread">'
        '<div class="more-replies"><a class="more-replies-text" href="/x">more replies</a></div></div>' + nitter_item("reply_gull", "thread")
        + "</div>" + nitter_item("log_2") + "</div></div>"))
    put_expectation("nitter/replies.html", kind="nitter", state="ok", profile=profile,
                    posts=[want_nitter(k) for k in ("gull", "reply_gull", "log_2")])
    found = ["starfish", "gull", "before_views", "log_4"]
    put("nitter/search.html", nitter_page("Search", '<div class="timeline-container"><div class="timeline">' + NEWEST + "".join(
        nitter_item(k) for k in found) + gone + more("?f=tweets&q=tide&cursor=maxid:1234567890123") + "</div></div>"))
    put_expectation("nitter/search.html", kind="nitter", state="ok", posts=[want_nitter(k) for k in found],
                    unavailable=[dict(reason="This Post is unavailable.")], cursors=dict(Bottom="maxid:1234567890123"))
    put("nitter/status.html", nitter_page("Mona", '<div class="conversation"><div class="main-thread"><div class="before-tweet '
        'thread-line">' + nitter_item("question", "thread") + '</div><div class="main-tweet" id="m">' + nitter_item("answer", "thread")
        + '</div></div><div class="replies" id="r"><div class="reply thread thread-line">' + nitter_item("answer_2", "thread-last")
        + '<div class="timeline-item more-replies"><a class="more-replies-text" href="/x">2 more replies</a></div></div><div class="reply '
        'thread thread-line">' + nitter_item("answer_3") + '</div><div class="timeline-item unavailable"><a class='
        '"unavailable-box" href="/i/status/1234567890123456789#m">This Post was deleted by the Post author.</a></div>' + more("?cursor=NwAAnext#r")
        + '</div></div>'))
    put_expectation("nitter/status.html", kind="nitter", state="ok", cursors=dict(Bottom="NwAAnext"), unavailable=[
                    dict(id="1234567890123456789", reason="This Post was deleted by the Post author.")],
                    posts=[want_nitter("question"), want_nitter("answer", "main"), want_nitter("answer_2", "reply"),
                           want_nitter("answer_3", "reply")])
    people = ["tide", "kite", "mona"]
    put("nitter/people.html", nitter_page("Search", '<div class="timeline-container"><div class="timeline">' + "".join(
        '<div class="timeline-item" data-username="%s"><a class="tweet-link" href="/%s"></a><div class="tweet-body profile-result">%s</div>'
        '</div></div><div class="tweet-content media-body" dir="auto">%s</div></div>' % (ACCOUNTS[k]["screen_name"],
        ACCOUNTS[k]["screen_name"], nitter_person(ACCOUNTS[k]), html.escape(ACCOUNTS[k]["bio"], quote=False)) for k in people)
        + more("?f=users&q=t&cursor=people2") + "</div></div>"))
    put_expectation("nitter/people.html", kind="nitter-people", state="ok", posts=[], cursors=dict(Bottom="people2"), users=[
                    dict(screen_name=ACCOUNTS[k]["screen_name"], name=ACCOUNTS[k]["name"], description=ACCOUNTS[k]["bio"],
                         blue_verified=ACCOUNTS[k]["blue"] or None) for k in people])
    for name, inside, state in (
            ("not_found", '<div class="panel-container"><div class="error-panel"><span>User "nobody" not found</span></div></div>', "not_found"),
            ("suspended", '<div class="panel-container"><div class="error-panel"><span>User "x" has been suspended</span></div></div>', "suspended"),
            ("rate_limited", '<div class="panel-container"><div class="error-panel"><span>Instance has been rate limited.</span></div></div>',
             "rate_limited"),
            ("tweet_not_found", '<div class="panel-container"><div class="error-panel"><span>Tweet not found</span></div></div>', "not_found"),
            ("tweet_suspended", '<div class="panel-container"><div class="error-panel"><span>This Post is from a suspended account. Learn more'
             '</span></div></div>', "suspended"),
            ("tweet_protected", '<div class="panel-container"><div class="error-panel"><span>You’re unable to view this Post because this '
             'account owner limits who can view their Posts. Learn more</span></div></div>', "protected"),
            ("tweet_deleted", '<div class="panel-container"><div class="error-panel"><span>This Post was deleted by the Post author. Learn '
             'more</span></div></div>', "not_found"),
            ("empty", '<div class="timeline-container"><div class="timeline"><div class="timeline-header"><h2 class="timeline-none">No items '
             'found</h2></div></div></div>', "empty"),
            ("end", '<div class="timeline-container"><div class="timeline">' + NEWEST + '<div class="timeline-footer"><h2 class="timeline-end">'
             'No more items</h2></div></div></div>', "end"),
            ("protected", nitter_profile_card(ACCOUNTS["ferry"]) + '<div class="timeline-container"><div class="timeline-header timeline-protected"><h2>This '
             'account\'s tweets are protected.</h2><p>Only confirmed followers have access to @ferry_times\'s tweets.</p></div></div>',
             "protected")):
        put("nitter/state_%s.html" % name, nitter_page("x", inside))
        put_expectation("nitter/state_%s.html" % name, kind="nitter", state=state, posts=[])

    def item(key, prefix=""):
        p = POSTS[key]
        w = whole(p)
        b = ACCOUNTS[w["author"]]
        url = "https://nitter.example/%s/status/%s#m" % (b["screen_name"], w["id"])
        pictures = "".join('<img src="https://nitter.example%s" />' % pic(v["picture"]) for v in w["media"])
        quote = ""
        if w["quote"]:
            quote = "<hr/><blockquote><b>%s</b><p>%s</p></blockquote>" % (ACCOUNTS[POSTS[w["quote"]]["author"]]["name"],
                                                                       nitter_links(POSTS[w["quote"]]))
        inside = "<p>%s</p>%s%s" % (nitter_links(w).replace("\n", "<br>\n").replace('href="/', 'href="https://nitter.example/'), pictures, quote)
        guid = '<guid isPermaLink="false">%s</guid>' % w["id"] if int(w["id"]) >= 2 * 10 ** 18 else "<guid>%s</guid>" % url
        return ("<item><title>%s%s</title><dc:creator>@%s</dc:creator><description><![CDATA[%s]]></description><pubDate>%s</pubDate>%s<link>%s"
                "</link></item>\n" % (prefix, html.escape(text_of(w)[:20], quote=False), b["screen_name"], inside,
                                      moment(w["at"]).strftime("%a, %d %b %Y %H:%M:%S GMT"), guid, url))

    rows = [("board", "Pinned: "), ("passed_on", "RT by @harbour_notes: "), ("quoting", ""), ("waves", ""),
            ("reply_gull", "R to @mona_reads: "), ("log_7", ""), ("corrected", "")]
    # The feed of an account; and one of a list, or of what is answered, where others write as well.
    for name, shown in (("feed", rows), ("feed_of_many", rows[:5] + [("before_views", ""), ("starfish", "")])):
        put("nitter/%s.xml" % name, '<?xml version="1.0" encoding="UTF-8"?>\n<rss xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0">\n'
            '<channel><title>Harbour Notes / @harbour_notes</title><link>https://nitter.example/harbour_notes</link>\n%s</channel></rss>\n'
            % "".join(item(k, prefix) for k, prefix in shown))
        posts = []
        for k, prefix in shown:
            n = want_nitter(k)
            w = whole(POSTS[k])
            posts.append(dict({x: n[x] for x in ("id", "author", "created_at")}, text=text_of(w), pinned=prefix == "Pinned: ",
                              reposted_by="harbour_notes" if POSTS[k]["repost"] else None,
                              media=[dict(type="video" if v["kind"] == "video" else "photo") for v in w["media"]]))
        put_expectation("nitter/%s.xml" % name, kind="nitter-rss", state="ok", posts=posts)


# ---- what the page shows ----

def short_number(n):
    return "%.1fK" % (n / 1000) if n >= 10000 else "{:,}".format(n)


def dom_text(p):
    out = ""
    for x in p["parts"]:
        if isinstance(x, str):
            for piece in x.split("🌟"):
                out += ("" if piece is x or not out else "") + '<span class="css-1jxf684 r-bcqeeo">%s</span>' % html.escape(piece, quote=False)
                if "🌟" in x and piece == x.split("🌟")[0]:
                    out += '<img alt="🌟" draggable="false" src="https://abs-0.twimg.com/emoji/v2/svg/1f31f.svg">'
        elif x[0] == "url":
            scheme, rest = x[2].split("//")
            head, tail = rest[:20], rest[20:]
            out += '<a href="%s" rel="noopener noreferrer nofollow" role="link"><span aria-hidden="true">%s//</span>%s' % (
                x[1], scheme, html.escape(head, quote=False))
            if tail:
                out += '<span aria-hidden="true">%s</span><span aria-hidden="true">…</span>' % html.escape(tail, quote=False)
            out += "</a>"
        elif x[0] == "at":
            name = ACCOUNTS[x[1]]["screen_name"]
            out += '<span><a dir="ltr" href="/%s" role="link">@%s</a></span>' % (name, name)
        elif x[0] == "tag":
            out += '<span><a dir="ltr" href="/hashtag/%s?src=hashtag_click" role="link">#%s</a></span>' % (x[1], x[1])
        else:
            out += '<span><a dir="ltr" href="/search?q=%%24%s&amp;src=cashtag_click" role="link">$%s</a></span>' % (x[1], x[1])
    return out


def dom_name(a, time_link="", links=True):
    wrap = (lambda s: '<a href="/%s" role="link">%s</a>' % (a["screen_name"], s)) if links else (lambda s: "<div>%s</div>" % s)
    check = '<svg aria-label="Verified account" role="img" data-testid="icon-verified"><g></g></svg>' if a["blue"] else ""
    lock = '<svg aria-label="Protected account" role="img" data-testid="icon-lock"><g></g></svg>' if a["protected"] else ""
    return ('<div data-testid="User-Name"><div>%s</div><div><div>%s%s</div></div></div>' % (
        wrap('<div dir="ltr"><span>%s</span></div><div dir="ltr">%s%s</div>' % (html.escape(a["name"], quote=False), check, lock)),
        wrap('<div dir="ltr"><span>@%s</span></div>' % a["screen_name"]), time_link))


def dom_face(a, size="_normal"):
    return ('<div data-testid="UserAvatar-Container-%s"><a href="/%s" aria-hidden="true" role="link" tabindex="-1"><img alt="" src="%s"></a>'
            '</div>' % (a["screen_name"], a["screen_name"], face(a).replace("_normal", size)))


def dom_media(p):
    out = ""
    for i, v in enumerate(p["media"]):
        if v["kind"] == "photo":
            out += ('<a href="/%s/status/%s/photo/%d" role="link"><div aria-label="%s" data-testid="tweetPhoto"><img alt="%s" src="%s"></div></a>'
                    % (ACCOUNTS[p["author"]]["screen_name"], p["id"], i + 1, html.escape(v["alt"] or "Image"), html.escape(v["alt"] or "Image"),
                       v["picture"].replace(".jpg", "?format=jpg&amp;name=small")))
        elif v["kind"] == "gif":
            out += ('<div data-testid="tweetPhoto"><div data-testid="placementTracking"><div data-testid="videoPlayer"><div data-testid='
                    '"videoComponent"><video aria-label="Embedded video" poster="%s" src="%s" type="video/mp4"></video></div></div></div><span>GIF'
                    '</span></div>' % (v["picture"], v["url"]))
        else:
            poster = ' poster="%s"' % v["picture"] if v["picture"] else ""
            out += ('<div data-testid="tweetPhoto"><div data-testid="placementTracking"><div data-testid="videoPlayer"><div data-testid='
                    '"videoComponent"><video%s><source src="blob:https://x.com/1" type="video/mp4"></video></div></div></div></div>' % poster)
    return out


def group(p):
    parts = []
    for name, one, many in (("reply", "reply", "replies"), ("repost", "repost", "reposts"), ("like", "like", "likes"),
                            ("bookmark", "bookmark", "bookmarks"), ("view", "view", "views")):
        n = p["counts"][name]
        if n:
            parts.append("%d %s" % (n, one if n == 1 else many))
    c = p["counts"]
    buttons = "".join('<div><button aria-label="%d" role="button" data-testid="%s" type="button"><span>%s</span></button></div>' % (
        c[k], t, short_number(c[k])) for k, t in (("reply", "reply"), ("repost", "retweet"), ("like", "like")))
    return '<div aria-label="%s" role="group">%s</div>' % (", ".join(parts), buttons)


def dom_card(p):
    card = p["card"]
    if not card:
        return ""
    if "choices" in card:
        total = sum(n for _, n in card["choices"])
        rows = "".join('<li role="listitem"><div><div></div><div dir="ltr"><span>%s</span></div><div dir="ltr"><span>%.1f%%</span></div></div></li>'
                       % (html.escape(label, quote=False), n * 100 / total) for label, n in card["choices"])
        return ('<div data-testid="card.wrapper"><div data-testid="cardPoll"><ul role="list">%s</ul><div dir="ltr"><span>%s votes</span><span '
                'aria-hidden="true">·</span><span>%s</span></div></div></div>' % (rows, "{:,}".format(total),
                                                                               "Final results" if card["final"] else "2 days left"))
    return ('<div data-testid="card.wrapper"><div data-testid="card.layoutLarge.media"><a href="%s" aria-label="%s %s" role="link" target='
            '"_blank"><img alt="" src="%s"></a></div></div>' % (card["url"], card["domain"], html.escape(card["title"]),
                                                             html.escape(card_picture(card))))


def dom_quote(key):
    q = POSTS[key]
    a = ACCOUNTS[q["author"]]
    when = '<div dir="ltr"><time datetime="%s.000Z">then</time></div>' % q["at"][:-1]
    return ('<div><span>Quote</span></div><div role="link" tabindex="0"><div data-testid="Tweet-User-Avatar">%s</div>%s<div data-testid='
            '"tweetText" dir="auto" lang="%s">%s</div>%s</div>' % (dom_face(a), dom_name(a, when, False), q["lang"],
            "".join('<span>%s</span>' % html.escape(spoken(x, True), quote=False) for x in q["parts"]), dom_media(q)))


def dom_post(key, pinned=False, main=False, cut=None):
    p = POSTS[key]
    w = whole(p)
    a = ACCOUNTS[w["author"]]
    url = "/%s/status/%s" % (a["screen_name"], w["id"])
    time = '<a href="%s" dir="ltr" role="link"><time datetime="%s.000Z">then</time></a>' % (url, w["at"][:-1])
    social = ""
    if pinned:
        social = '<div data-testid="socialContext">Pinned</div>'
    if p["repost"]:
        b = ACCOUNTS[p["author"]]
        social = '<a href="/%s" dir="ltr" role="link"><span data-testid="socialContext"><span>%s</span> reposted</span></a>' % (
            b["screen_name"], html.escape(b["name"], quote=False))
    to = POSTS[w["reply"]] if w["reply"] else None
    shown = dict(w)
    if to:
        shown["parts"] = [w["parts"][1].lstrip()] + w["parts"][2:]
    reply = ('<div>Replying to <div><a href="/%s" role="link"><span>@%s</span></a></div></div>' % ((ACCOUNTS[to["author"]]["screen_name"],) * 2)
             if to and not main else "")
    more_link = ""
    if cut:
        shown["parts"] = [w["parts"][0][:cut]]
        more_link = '<button dir="ltr" role="button" data-testid="tweet-text-show-more-link" type="button"><span>Show more</span></button>'
    if w["quote"]:  # the link to what is quoted is not shown
        shown["parts"] = [x for x in shown["parts"] if isinstance(x, str) or x[0] != "url"]
    text = '<div dir="auto" lang="%s" data-testid="tweetText">%s</div>%s' % (w["lang"], dom_text(shown), more_link) if shown["parts"] else ""
    note = ('<div data-testid="birdwatch-pivot">%s</div>' % html.escape(w["note"], quote=False)) if w["note"] else ""
    return ('<article role="article" tabindex="%s" data-testid="tweet">%s<div data-testid="Tweet-User-Avatar">%s</div>%s%s%s%s%s%s%s%s%s'
            '</article>' % ("-1" if main else "0", social, dom_face(a), dom_name(a, "" if main else time), reply, text, dom_media(w), dom_card(w),
                            dom_quote(w["quote"]) if w["quote"] else "", note, '<div dir="ltr">%s</div>' % time if main else "", group(w)))


def dom_article(key):
    """A long-form article as its page shows it: a picture above, a title, the text in a view of its own, no words of a post."""
    p = POSTS[key]
    a, art = ACCOUNTS[p["author"]], p["article"]
    url = "/%s/status/%s" % (a["screen_name"], p["id"])
    blocks = "".join('<div data-block="true"><div><span><span data-text="true">%s</span></span></div></div>' % html.escape(x, quote=False)
                     for x in (art["preview"], "Something went wrong, we said, and read on. Show more"))
    label = group(p).replace(" likes,", " likes, Liked,")
    return ('<article role="article" tabindex="-1" data-testid="tweet"><div data-testid="Tweet-User-Avatar">%s</div>%s<div data-testid='
            '"twitterArticleReadView"><a href="/%s/article/%s/media/7" role="link"><div aria-label="Image" data-testid="tweetPhoto"><img '
            'alt="Image" src="%s"></div></a><div dir="auto" data-testid="twitter-article-title"><span>%s</span></div>%s<div data-testid='
            '"twitterArticleRichTextView"><div data-testid="longformRichTextComponent">%s<h2>A heading</h2></div></div></div><div dir="ltr">'
            '<a href="%s" dir="ltr" role="link"><time datetime="%s.000Z">7:07 AM</time></a></div></article>' % (
                dom_face(a), dom_name(a), a["screen_name"], p["id"], art["cover"].replace(".jpg", "?format=jpg&amp;name=medium"),
                html.escape(art["title"], quote=False), label, blocks, url, p["at"][:-1]))


def want_article(key):
    r = want_shown(key)
    r.pop("has_poll")
    return dict(r, text="", lang=None, media=[dict(type="photo", url=POSTS[key]["article"]["cover"], alt=None)])


def want_shown(key, pinned=False, section=None, cut=None):
    p = POSTS[key]
    w = whole(p)
    a = ACCOUNTS[w["author"]]
    words_of = text_of(dict(w, parts=w["parts"][1:])) if w["reply"] else text_of(w)
    if w["quote"]:
        words_of = text_of(dict(w, parts=[x for x in w["parts"] if isinstance(x, str) or x[0] != "url"]))
    if cut:
        words_of = w["parts"][0][:cut].strip()
    media = []
    for v in w["media"]:
        m = dict(type=v["kind"], alt=v["alt"] if v["kind"] == "photo" else None)
        if v["kind"] == "photo":
            m["url"] = v["picture"]
        else:
            m["thumb"] = v["picture"]
        if v["kind"] == "gif":
            m["url"] = v["url"]
        media.append(m)
    r = dict(id=w["id"], author=a["screen_name"], author_name=a["name"], created_at=w["at"], text=words_of, text_truncated=bool(cut),
             counts=dict({k: w["counts"][k] or 0 for k in ("reply", "repost", "like", "bookmark")}, view=w["counts"]["view"]), media=media,
             pinned=pinned, reposted_by=ACCOUNTS[p["author"]]["screen_name"] if p["repost"] else None, promoted=False, quote=None,
             lang=w["lang"] if w["parts"] else None, has_poll=bool(w["card"] and "choices" in w["card"]))
    if w["quote"]:
        q = POSTS[w["quote"]]
        r["quote"] = dict(author=ACCOUNTS[q["author"]]["screen_name"], created_at=q["at"], text=text_of(q))
    if w["card"] and "choices" not in w["card"]:
        r["also"] = {"card.image": card_picture(w["card"])}
    if section:
        r["section"] = section
    return r


def dom_ad(key):
    p = POSTS[key]
    a = ACCOUNTS[p["author"]]
    return ('<div data-testid="placementTracking"><div data-testid="top-impression-pixel"></div><article role="article" tabindex="0" data-testid='
            '"tweet"><div data-testid="Tweet-User-Avatar">%s</div>%s<div><span>Ad</span></div><div dir="auto" lang="en" data-testid="tweetText">'
            '<span>%s</span></div><div aria-label="" role="group"><a href="/%s/status/%s/analytics" role="link"></a></div></article></div>' % (
                dom_face(a), dom_name(a), text_of(p), a["screen_name"], p["id"]))


def dom_user(key):
    a = ACCOUNTS[key]
    check = '<svg aria-label="Verified account" role="img" data-testid="icon-verified"></svg>' if a["blue"] else ""
    return ('<div role="button" tabindex="0" data-testid="UserCell"><div>%s</div><div><a href="/%s" role="link"><div dir="ltr"><span>%s</span>'
            '</div><div dir="ltr">%s</div></a><a href="/%s" role="link" tabindex="-1"><div dir="ltr"><span>@%s</span></div></a><div><button '
            'aria-label="Follow @%s" role="button" data-testid="%s-follow" type="button"><span>Follow</span></button></div><div dir="auto">Click to '
            'Follow %s</div>%s</div></div>' % (dom_face(a, "_bigger"), a["screen_name"], html.escape(a["name"], quote=False), check, a["screen_name"],
                                             a["screen_name"], a["screen_name"], a["id"], a["screen_name"], '<div dir="auto"><span>%s</span></div>'
                                             % html.escape(a["bio"], quote=False) if a["bio"] else ""))


def cells(list_of, start=0):
    out, y = "", start
    for c in list_of:
        out += '<div data-testid="cellInnerDiv" style="transform: translateY(%dpx); position: absolute; width: 100%%;"><div>%s</div></div>' % (y, c)
        y += 120 + len(c) // 40
    return out


def timeline(label, list_of, start=0):
    return ('<section aria-labelledby="accessible-list-0" role="region"><h1 id="accessible-list-0">%s</h1><div aria-label="Timeline: %s"><div '
            'style="position: relative; min-height: 9000px;">%s</div></div></section>' % (label, label, cells(list_of, start)))


FRAME = ('<!DOCTYPE html><html dir="ltr" lang="en"><head><meta charset="utf-8"><title>X</title></head><body><noscript><h1>JavaScript is not '
         'available.</h1></noscript><div id="react-root"><header role="banner">%s</header><main role="main"><div data-testid="primaryColumn">%s'
         '</div><div data-testid="sidebarColumn">%s</div></main>%s</div><form action="" method="GET" id="ScriptLoadFailure" style="display:none">'
         '<span>Something went wrong, but don’t fret — let’s give it another shot.</span></form>%s<script>window.__INITIAL_STATE__={"x":"suspended'
         '"};window.__META_DATA__={"isLoggedIn":%s};</script></body></html>\n')


def shown_page(column, side="", guest=False, schema=""):
    account_button = "" if guest else '<button data-testid="SideNav_AccountSwitcher_Button" type="button"></button>'
    bar = ('<div data-testid="BottomBar"><a href="/login" data-testid="login" role="link">Log in</a><a href="/i/flow/signup" data-testid="signup" '
           'role="link">Sign up</a></div>' if guest else "")
    return FRAME % (account_button, column, side, bar, schema, "false" if guest else "true")


def head(a, bare=False):
    if bare:
        return ('<div data-testid="UserName"><div><div dir="ltr"><span>%s</span></div><div dir="ltr"><span>@%s</span></div></div></div>' % (
            html.escape(a["name"], quote=False), a["screen_name"]))
    return ('<div><div><h2 role="heading"><span>%s</span></h2><div dir="ltr">%s posts</div></div><div><button data-testid="%s-follow" type="button">'
            '<span>Follow</span></button></div><div data-testid="UserName"><div><div dir="ltr"><span>%s</span></div><div dir="ltr"><span>@%s</span>'
            '</div></div></div><div data-testid="UserDescription" dir="auto"><span>%s</span></div><div data-testid="UserProfileHeader_Items"><span '
            'data-testid="UserLocation"><span>%s</span></span><a data-testid="UserUrl" href="%s"><span>site</span></a></div><div><a href='
            '"/%s/following"><span>%s</span> Following</a><a href="/%s/verified_followers"><span>%s</span> Followers</a></div></div>' % (
                html.escape(a["name"], quote=False), "{:,}".format(a["posts"]), a["id"], html.escape(a["name"], quote=False), a["screen_name"],
                html.escape(a["bio"], quote=False), a["location"], a["site"][0], a["screen_name"], "{:,}".format(a["following"]),
                a["screen_name"], short_number(a["followers"])))


def schema_of(a, links=None):
    names = {"givenName": a["name"], "name": a["name"]} if not links else {"name": a["name"]}
    links = links or list(a["site"] or [])
    return '<script type="application/ld+json" data-testid="UserProfileSchema-test">%s</script>' % json.dumps({
        "@context": "https://schema.org", "@type": "ProfilePage", "dateCreated": a["created"][:-1] + ".000Z", "mainEntity": {
            "@type": "Person", "additionalName": a["screen_name"], "description": a["bio"], **names,
            "homeLocation": {"@type": "Place", "name": a["location"]}, "identifier": a["id"],
            "image": {"@type": "ImageObject", "contentUrl": face(a).replace("_normal", "_400x400")},
            "interactionStatistic": [{"@type": "InteractionCounter", "name": n, "userInteractionCount": a[k]} for n, k in (
                ("Follows", "followers"), ("Friends", "following"), ("Tweets", "posts"))]}, "relatedLink": links}, ensure_ascii=False)


def dom():
    where = "dom/synthetic/"
    a = ACCOUNTS["harbour"]

    def save(name, page, **more):
        put(where + name + ".html", page)
        put_expectation(where + name + ".html", **dict(dict(kind="dom", state="ok", posts=[]), **more))

    exact = dict(links=list(a["site"]), id=a["id"], screen_name=a["screen_name"], name=a["name"], followers=a["followers"], following=a["following"],
                 posts=a["posts"], description=a["bio"], location=a["location"], created_at=a["created"])
    keys = ["passed_on", "quoting", "which", "waves", "reply_gull", "log_11", "log_0"]
    side = '<section>%s</section>' % dom_user("lamp")
    save("profile", shown_page(head(a) + timeline("Harbour’s posts", [dom_post("board", True)] + [
        dom_post(k, cut=90 if k == "passed_on" else None) for k in keys]), side, schema=schema_of(a)), profile=exact,
        posts=[want_shown("board", True)] + [want_shown(k, cut=90 if k == "passed_on" else None) for k in keys])
    save("profile_guest", shown_page(head(a) + timeline("Harbour’s posts", [dom_post(k) for k in ("which", "waves")]), guest=True),
         profile=dict(id=a["id"], screen_name=a["screen_name"], name=a["name"], following=a["following"], posts=a["posts"],
                      description=a["bio"], location=a["location"]), posts=[want_shown(k) for k in ("which", "waves")])
    save("profile_with_ads", shown_page(head(a, bare=True) + timeline("Harbour’s posts", [dom_post("waves"), dom_ad("cheap"), dom_post("log_3")])),
         posts=[want_shown("waves"), want_shown("log_3")], promoted=[POSTS["cheap"]["id"]])
    found = ["starfish", "gull", "before_views", "club"]
    save("search", shown_page(timeline("Search timeline", ["<h2>People</h2>", dom_user("kite"), dom_user("tide")] + [dom_post(k) for k in found])),
         posts=[want_shown(k) for k in found])
    gone = '<article role="article" tabindex="-1"><div><span>This Post is from a suspended account.</span> <a href="/rules">Learn more</a></div></article>'
    save("thread", shown_page('<div><h2 role="heading"><span>Post</span></h2></div>' + timeline("Conversation", [dom_post("question", main=True),
         dom_post("answer"), dom_post("answer_2"), gone, dom_post("answer_3"), '<div role="button" tabindex="0"><span>Show more replies</span>'
         '</div>', '<h2 role="heading"><span>Discover more</span></h2>', dom_post("unrelated")])),
         posts=[want_shown("question", section="main")] + [want_shown(k, section="reply") for k in ("answer", "answer_2", "answer_3")]
         + [want_shown("unrelated", section="related")], unavailable=[dict(reason="This Post is from a suspended account.")])
    save("thread_poll", shown_page(timeline("Conversation", [dom_post("which", main=True), dom_post("log_9")])),
         posts=[want_shown("which", section="main"), want_shown("log_9", section="reply")])
    save("article", shown_page('<h2 role="heading"><span>Article</span></h2>' + timeline("Conversation", [dom_article("essay")])),
         posts=[want_article("essay")])
    # What somebody copied out of a page: one post, and nothing around it.
    for name, key in (("bare_card", "board"), ("bare_quote", "wrapped")):
        save(name, dom_post(key), posts=[want_shown(key)])
    save("bare_cells", cells([dom_post(k) for k in ("closed", "no_poster")]), posts=[want_shown(k) for k in ("closed", "no_poster")])
    # A visitor's page whose head shows the name and no more; search engines are told the rest.
    b = ACCOUNTS["mona"]
    save("profile_told", shown_page(head(b, bare=True) + timeline("Mona’s posts", [dom_post("gull")]), guest=True,
         schema=schema_of(b, ["https://mona.example/"])), posts=[want_shown("gull")], profile=dict(
             id=b["id"], screen_name=b["screen_name"], name=b["name"], followers=b["followers"], following=b["following"], posts=b["posts"],
             url="https://mona.example/", created_at=b["created"]))
    people = ["harbour", "tide", "kite", "mona"]
    save("people", shown_page(timeline("Followers", [dom_user(k) for k in people]), side), users=[
        dict(id=ACCOUNTS[k]["id"], screen_name=ACCOUNTS[k]["screen_name"], name=ACCOUNTS[k]["name"], bio=ACCOUNTS[k]["bio"] or None,
             blue_verified=ACCOUNTS[k]["blue"]) for k in people])
    windows = [(0, 4), (3, 7), (6, 10), (9, 12)]
    heights = [0]
    for i in range(12):
        heights.append(heights[-1] + 120 + len(dom_post("log_%d" % (11 - i))) // 40)
    for i, (b, e) in enumerate(windows):
        names = ["log_%d" % (11 - k) for k in range(b, e)]
        save("scroll_%02d" % (i + 1), shown_page(timeline("Harbour’s posts", [dom_post(k) for k in names], heights[b])),
             posts=[want_shown(k) for k in names])
    put(where + "scroll_UNION.expect.json", json.dumps(dict(schema="xdata-expect/1", kind="dom-union", sources=[
        where + "scroll_%02d.html" % (i + 1) for i in range(len(windows))], posts=[want_shown("log_%d" % (11 - i)) for i in range(12)]),
        ensure_ascii=False, indent=1) + "\n")

    def empty(header, body, button=""):
        return ('<div data-testid="emptyState"><div data-testid="empty_state_header_text"><span>%s</span></div><div data-testid='
                '"empty_state_body_text"><span>%s</span></div>%s</div>' % (header, body, button))

    retry = '<button role="button" type="button"><span>Retry</span></button>'
    for name, column, state in (
            ("suspended", empty("Account suspended", "X suspends accounts which violate the X Rules"), "suspended"),
            ("not_found", empty("This account doesn’t exist", "Try searching for another."), "not_found"),
            ("protected", empty("These posts are protected", "Only approved followers can see @ferry_times’s posts."), "protected"),
            ("blocked", empty("@ferry_times has blocked you", "You can view public posts from @ferry_times, but you are blocked."), "blocked"),
            ("no_posts", empty("@old_lamp hasn’t posted", "When they do, their posts will show up here."), "empty"),
            ("search_empty", empty("No results for “qzx”", "Try searching for something else."), "search_empty"),
            ("page_not_found", '<div data-testid="error-detail"><span>Hmm...this page doesn’t exist. Try searching for something else.</span></div>',
             "not_found"),
            ("retry", "<div><div><span>Something went wrong. Try reloading.</span></div>%s</div>" % retry, "error_retry"),
            ("rate_limited", "<div><div><span>Sorry, you are rate limited. Please wait a few moments then try again.</span></div>%s</div>" % retry,
             "rate_limited"),
            ("login_wall", '<div data-testid="sheetDialog" role="dialog"><div id="modal-header"><span>Sign in to X</span></div></div>', "login_wall"),
            ("restricted", empty("Caution: This account is temporarily restricted", "You’re seeing this warning because there has been some unusual "
                                 "activity.", '<a data-testid="empty_state_button_text" href="#">Yes, view profile</a>'), "restricted"),
            ("sensitive", empty("Caution: This profile may include potentially sensitive content", "Do you still want to view it?"), "sensitive"),
            ("loading", '<div role="progressbar" aria-label="Loading"></div>', "loading"),
            ("account_locked", '<div><h1>Your account has been locked.</h1><form action="/account/access" method="post"></form></div>',
             "account_locked")):
        save("state_" + name, shown_page(column, guest=name in ("login_wall", "loading")), state=state)
    # Words of the site's own inside posts mean nothing.
    for key, words_of in (("trap_1", "This account doesn’t exist, they say. Account suspended?"), ("trap_2", "Something went wrong. Try reloading. Retry"),
                          ("trap_3", "Sorry, you are rate limited. These posts are protected")):
        post(key, "mona", "2026-06-15T0%s:00:00Z" % key[-1], words_of)
    save("trap_text", shown_page(timeline("Mona’s posts", [dom_post(k) for k in ("trap_1", "trap_2", "trap_3")])),
         posts=[want_shown(k) for k in ("trap_1", "trap_2", "trap_3")])


# ---- answers as they come over HTTP ----

def http():
    def answer(name, status, headers, body, state, action, **more):
        lines = ["HTTP/1.1 " + status] + headers + ["", body]
        put("http/%s.http" % name, "\n".join(lines))
        put_expectation("http/%s.http" % name, kind="http", state=state, action=action, **more)

    kind = "content-type: application/json;charset=utf-8"

    def limits(limit, left):
        return ["x-rate-limit-limit: %d" % limit, "x-rate-limit-remaining: %d" % left, "x-rate-limit-reset: 1786093200"]

    def refused(code, message):
        return json.dumps(dict(errors=[dict(message=message, code=code)]))

    answer("429", "429 Too Many Requests", ["content-type: text/plain;charset=utf-8"] + limits(50, 0), "Rate limit exceeded\n", "rate_limited",
           "wait until reset", retry_at=1786093200)
    answer("200_code88_remaining", "200 OK", [kind] + limits(150, 97), refused(88, "Rate limit exceeded."), "session_banned_or_soft_blocked",
           "drop the session")
    answer("401_code32", "401 Unauthorized", [kind], refused(32, "Could not authenticate you."), "auth_dead", "drop the session")
    answer("403_code353", "403 Forbidden", [kind], refused(353, "This request requires a matching csrf cookie and header."), "csrf_mismatch",
           "refresh the session")
    answer("403_code326", "403 Forbidden", [kind], refused(326, "To protect our users, this account is temporarily locked."), "account_locked",
           "needs a person")
    answer("404_empty", "404 Not Found", ["content-length: 0"] + limits(50, 49), "", "bad_request_signature_or_stale_query", "not the target")
    answer("400_features", "400 Bad Request", [kind], refused(336, "The following features cannot be null: a_b"), "bad_request_client",
           "the client is stale")
    answer("403_edge", "403 Forbidden", ["content-type: text/html; charset=UTF-8", "server: cloudflare", "cf-ray: 8f00-FRA"],
           "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", "edge_blocked", "another address")
    answer("503_cloudflare", "503 Service Unavailable", ["content-type: text/html; charset=UTF-8", "server: cloudflare"],
           "<!DOCTYPE html><html lang=\"en-US\"><head><title>Attention Required! | Cloudflare</title></head><body><noscript><div>Enable "
           "JavaScript and cookies to continue</div></noscript></body></html>", "edge_blocked", "another address")
    answer("200_user_not_found", "200 OK", [kind] + limits(95, 94), '{"data":{}}', "not_found", "final")
    answer("200_code144", "200 OK", [kind] + limits(150, 149), json.dumps(dict(data={}, errors=[dict(
        message="_Missing: No status found with that ID.", extensions=dict(code=144), code=144)])), "not_found", "final")
    answer("200_overcapacity", "200 OK", [kind], json.dumps(dict(data=dict(search_by_raw_query={}), errors=[dict(
        message="Dependency: Internal error.", extensions=dict(code=0))])), "transient_server", "backoff")
    answer("200_partial", "200 OK", [kind] + limits(50, 20), json.dumps(dict(in_user([dict(type="TimelineClearCache"), dict(
        type="TimelineAddEntries", entries=[cursor("Top", "DAAtop", 1), cursor("Bottom", "DAAbottom")])]), errors=[dict(
            message="Timeout: Unspecified", extensions=dict(code=29), code=29)])), "partial_empty", "keep data, try again from the cursor",
           cursors=dict(Top="DAAtop", Bottom="DAAbottom"))
    answer("302_login", "302 Found", ["location: /i/flow/login?redirect_after_login=%2Fsearch"], "", "login_wall", "log in")


# ---- all ----

def write_all():
    layouts()
    cases()
    errors()
    sequences()
    syndication()
    nitter()
    nitter_2020()
    dom()
    http()
    tokens()


def main():
    write_all()
    wrong = 0
    have = {os.path.relpath(os.path.join(d, f), ROOT) for d, _, names in os.walk(ROOT) for f in names}
    by_hand = {p for p in have if p.startswith("dom/by-hand/")}
    for path, data in sorted(FILES.items()):
        full = os.path.join(ROOT, path)
        if "--check" in sys.argv:
            if not os.path.exists(full) or open(full, "rb").read() != data:
                print("%s is not what tests/data/make.py writes" % path)
                wrong += 1
            continue
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)
    for path in sorted(have - set(FILES) - by_hand):
        print("tests/data/shapes/%s: nobody writes it" % path)
        wrong += 1
    print("recordings: %d files, %d KB" % (len(FILES), sum(map(len, FILES.values())) // 1024))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
