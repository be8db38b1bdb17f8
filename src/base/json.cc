// The reader half of json.h: simdjson parses, the functions here walk its tape.
//
// The tape is an array of 64-bit words: a type in the top byte, a payload below.
//   r            first word of the document; its value follows
//   { [          payload: low 32 bits the index after the closing word, next 24 bits how many
//                children (saturated); keys and values lie between
//   } ]          closing word
//   "            payload: offset into the string bytes: 32-bit length, text, NUL
//   l u d        the number (int64, uint64, double) is the next word
//   t f n        true, false, null

#include <simdjson.h>

#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

// need.h is C; this is what C++ calls the same thing.
#define _Noreturn [[noreturn]]
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" // json_w is a struct and a function, as C allows
extern "C" {
#include "base/json.h"
#include "base/jsonscan.h"
#include "base/need.h"
}
#pragma GCC diagnostic pop

struct json_parser {
    simdjson::dom::parser simd{};
    const uint64_t *tape = nullptr; // of the last document
    const char *strings = nullptr;
    char *text = nullptr; // copy with the padding that simdjson reads past the end
    size_t room = 0, max_bytes = 0;
};

namespace {

constexpr size_t FIRST_ROOM = 16 * 1024;
// simdjson opens a bracket only below its limit. An empty one costs it nothing, so [] may stand
// on level 65.
constexpr size_t SIMD_DEPTH = JSON_DEPTH_MOST + 1;
constexpr size_t COUNT_MOST = 0xffffff; // a count that says "this many or more"

const json_parser *parser_of(struct json v)
{
    return static_cast<const json_parser *>(v.doc);
}

inline char type_at(const json_parser *p, size_t at)
{
    return static_cast<char>(p->tape[at] >> 56);
}

inline uint64_t payload_at(const json_parser *p, size_t at)
{
    return p->tape[at] & ((UINT64_C(1) << 56) - 1);
}

inline size_t after(const json_parser *p, size_t at)
{
    switch (type_at(p, at)) {
    case '{':
    case '[':
        return static_cast<uint32_t>(p->tape[at]);
    case 'l':
    case 'u':
    case 'd':
        return at + 2;
    default:
        return at + 1;
    }
}

inline struct span text_at(const json_parser *p, size_t at)
{
    const char *bytes = p->strings + payload_at(p, at);
    uint32_t n;
    memcpy(&n, bytes, sizeof n);
    return {bytes + sizeof n, n};
}

inline char tape_type(struct json v)
{
    return v.doc ? type_at(parser_of(v), v.at) : '\0';
}

inline bool is_nest(char type)
{
    return type == '{' || type == '[';
}

// Walkers keep one bit per open bracket; empty ones are stepped over, so 64 bits are enough.
inline bool is_empty(const json_parser *p, size_t at)
{
    return after(p, at) == at + 2;
}

template <typename T> T number_at(const json_parser *p, size_t at)
{
    T value;
    memcpy(&value, &p->tape[at + 1], sizeof value);
    return value;
}

// Memory for a text of n bytes. Grows by half at least, so that slowly growing pages do not
// allocate each time.
bool make_room(json_parser *p, size_t n)
{
    if (n <= p->room)
        return true;
    size_t room = p->room + p->room / 2;
    if (room < FIRST_ROOM)
        room = FIRST_ROOM;
    if (room > p->max_bytes)
        room = p->max_bytes;
    if (room < n)
        room = n;
    free(p->text);
    p->room = 0;
    p->text = static_cast<char *>(calloc(1, room + simdjson::SIMDJSON_PADDING));
    if (!p->text || p->simd.doc.allocate(room) || p->simd.allocate(room, SIMD_DEPTH))
        return false;
    p->room = room;
    return true;
}

simdjson::error_code parse_once(json_parser *p, size_t n)
{
    memset(p->text + n, ' ', simdjson::SIMDJSON_PADDING);
    simdjson::error_code code = p->simd.parse(p->text, n, false).error();
    p->tape = p->simd.doc.tape.get();
    p->strings = reinterpret_cast<const char *>(p->simd.doc.string_buf.get());
    return code;
}

// simdjson has refused the text. Either it can be mended, or we say where it breaks.
err parse_again(json_parser *p, size_t n, simdjson::error_code code, struct fault *f)
{
    size_t mends;
    err e = jsonscan_mend(p->text, n, &mends, f);
    if (e)
        return e;
    if (mends > 0)
        code = parse_once(p, n);
    if (code)
        return fail(f, code == simdjson::MEMALLOC ? E_NO_MEMORY : E_BAD_SYNTAX,
                    "JSON was refused: %s", simdjson::error_message(code));
    return E_OK;
}

struct json member(const json_parser *p, size_t at, struct span key)
{
    size_t end = after(p, at) - 1;
    for (at++; at < end; at = after(p, at + 1)) {
        struct span name = text_at(p, at);
        if (name.n == key.n && (!key.n || memcmp(name.p, key.p, key.n) == 0))
            return {p, at + 1};
    }
    return {nullptr, 0};
}

// A value with nothing inside.
void add_leaf(struct buf *out, const json_parser *p, size_t at)
{
    struct json_w w = json_w(out);
    switch (type_at(p, at)) {
    case '"':
        json_add_string(out, text_at(p, at));
        break;
    case 'l':
        json_put_int(&w, number_at<int64_t>(p, at));
        break;
    case 'u':
        buf_fmt(out, "%" PRIu64, number_at<uint64_t>(p, at));
        break;
    case 'd':
        json_put_real(&w, number_at<double>(p, at));
        break;
    case 't':
    case 'f':
        json_put_bool(&w, type_at(p, at) == 't');
        break;
    case '{': // these two are empty
        buf_add_text(out, "{}");
        break;
    case '[':
        buf_add_text(out, "[]");
        break;
    default:
        json_put_null(&w);
    }
}

} // namespace

extern "C" {

struct json_parser *json_parser_new(size_t max_bytes)
{
    auto *p = new (std::nothrow) json_parser{};
    need(p);
    // simdjson counts in 32 bits.
    p->max_bytes = max_bytes < UINT32_MAX - 64 ? max_bytes : UINT32_MAX - 64;
    return p;
}

void json_parser_free(struct json_parser **p)
{
    if (!*p)
        return;
    free((*p)->text);
    delete *p;
    *p = nullptr;
}

err json_parse(struct json_parser *p, struct span text, struct json *out_root, struct fault *f)
{
    if (span_starts(text, SPAN("\xef\xbb\xbf"))) // a byte order mark, which some servers send
        text = span_cut(text, 3, text.n);
    if (text.n > p->max_bytes)
        return fail(f, E_TOO_BIG, "JSON of %zu bytes is over the limit of %zu", text.n,
                    p->max_bytes);
    if (text.n == 0)
        return fail(f, E_BAD_SYNTAX, "JSON is empty (offset 0)");
    if (!make_room(p, text.n))
        return fail(f, E_NO_MEMORY, "no memory for JSON of %zu bytes", text.n);
    memcpy(p->text, text.p, text.n);
    simdjson::error_code code = parse_once(p, text.n);
    if (code) {
        err e = parse_again(p, text.n, code, f);
        if (e)
            return e;
    }
    *out_root = {p, 1};
    return E_OK;
}

enum json_type json_type(struct json v)
{
    switch (tape_type(v)) {
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'l':
    case 'u':
        return JSON_INT;
    case 'd':
        return JSON_REAL;
    case '"':
        return JSON_TEXT;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return JSON_NONE;
    }
}

bool json_is(struct json v, enum json_type t)
{
    return json_type(v) == t;
}

bool json_text(struct json v, struct span *out)
{
    if (tape_type(v) != '"')
        return false;
    *out = text_at(parser_of(v), v.at);
    return true;
}

bool json_int(struct json v, int64_t *out)
{
    if (tape_type(v) != 'l')
        return false; // u is only used for what does not fit
    *out = number_at<int64_t>(parser_of(v), v.at);
    return true;
}

bool json_real(struct json v, double *out)
{
    switch (tape_type(v)) {
    case 'd':
        *out = number_at<double>(parser_of(v), v.at);
        return true;
    case 'l':
        *out = static_cast<double>(number_at<int64_t>(parser_of(v), v.at));
        return true;
    case 'u':
        *out = static_cast<double>(number_at<uint64_t>(parser_of(v), v.at));
        return true;
    default:
        return false;
    }
}

bool json_bool(struct json v, bool *out)
{
    char type = tape_type(v);
    if (type != 't' && type != 'f')
        return false;
    *out = type == 't';
    return true;
}

struct json json_get(struct json object, struct span key)
{
    if (tape_type(object) != '{')
        return JSON_MISSING;
    return member(parser_of(object), object.at, key);
}

struct json json_at(struct json array, size_t index)
{
    if (tape_type(array) != '[')
        return JSON_MISSING;
    const json_parser *p = parser_of(array);
    size_t end = after(p, array.at) - 1;
    for (size_t at = array.at + 1; at < end; at = after(p, at))
        if (index-- == 0)
            return {p, at};
    return JSON_MISSING;
}

size_t json_count(struct json v)
{
    if (!is_nest(tape_type(v)))
        return 0;
    size_t count = payload_at(parser_of(v), v.at) >> 32;
    if (count < COUNT_MOST)
        return count;
    count = 0;
    for (struct json_iter i = json_each(v); json_next(&i);)
        count++;
    return count;
}

struct json json_path(struct json v, const char *path)
{
    struct span rest = span_of(path), part;
    while (v.doc && span_next(&rest, '.', &part))
        v = json_get(v, part);
    return v;
}

struct json_iter json_each(struct json v)
{
    struct json_iter i = {};
    char type = tape_type(v);
    if (!is_nest(type))
        return i;
    i.doc = v.doc;
    i.at = v.at + 1;
    i.end = after(parser_of(v), v.at) - 1;
    i.object = type == '{';
    return i;
}

bool json_next(struct json_iter *i)
{
    if (i->at >= i->end)
        return false;
    auto *p = static_cast<const json_parser *>(i->doc);
    if (i->object)
        i->key = text_at(p, i->at++);
    i->value = {p, i->at};
    i->at = after(p, i->at);
    return true;
}

struct json json_find(struct json v, struct span key, enum json_type t)
{
    if (!is_nest(tape_type(v)))
        return JSON_MISSING;
    const json_parser *p = parser_of(v);
    uint64_t objects = 0; // the innermost bracket is bit 0: 1 = object
    size_t end = after(p, v.at);
    for (size_t at = v.at; at < end;) {
        char type = type_at(p, at);
        if (type == '}' || type == ']') {
            objects >>= 1;
            at++;
            continue;
        }
        if (objects & 1) { // here stands a key
            struct span name = text_at(p, at++);
            type = type_at(p, at);
            if (name.n == key.n && memcmp(name.p, key.p, key.n) == 0 && json_is({p, at}, t))
                return {p, at};
        }
        if (is_nest(type) && !is_empty(p, at)) {
            objects = objects << 1 | (type == '{');
            at++;
        } else {
            at = after(p, at);
        }
    }
    return JSON_MISSING;
}

void json_add_raw(struct buf *out, struct json v)
{
    if (!v.doc) {
        buf_add_text(out, "null");
        return;
    }
    const json_parser *p = parser_of(v);
    uint64_t objects = 0;
    bool first = true;
    size_t end = after(p, v.at);
    for (size_t at = v.at; at < end && !out->failed;) {
        char type = type_at(p, at);
        if (type == '}' || type == ']') {
            objects >>= 1;
            buf_add_char(out, type);
            first = false;
            at++;
            continue;
        }
        if (!first)
            buf_add_char(out, ',');
        first = false;
        if (objects & 1) {
            json_add_string(out, text_at(p, at++));
            buf_add_char(out, ':');
            type = type_at(p, at);
        }
        if (is_nest(type) && !is_empty(p, at)) {
            objects = objects << 1 | (type == '{');
            buf_add_char(out, type);
            first = true;
            at++;
        } else {
            add_leaf(out, p, at);
            at = after(p, at);
        }
    }
}

} // extern "C"
