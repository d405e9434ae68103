# cython: boundscheck=False, wraparound=False
"""The compiled engine: a recogniser of what is plainly right.

One pass over the octets of a request head finds its parts and judges them; what is not plainly right,
for whatever reason, is left to the reference, which then reads it from the start. So nothing is refused
here and there is no sentence here: a difference to the reference can only be something that is accepted
here and refused there, or read otherwise. The same for the fields of a response.

Every read of memory is behind a comparison with the end of the data that stands next to it, and every
write goes to an array whose size is checked next to it. Nothing of the data is kept but the data object
itself, and where in it each field is.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from greenuni.http.fields cimport ResponseFields
from greenuni.http.limits cimport Limits
from greenuni.http.reference cimport Engine
from greenuni.http.request cimport Fields, Request

from greenuni.http.grammar import CONTROL, TOKEN
from greenuni.http.target import decoded
from greenuni.variables import VariableNames

cdef extern from "Python.h":
    PyObject* PyDict_SetDefault(object mapping, object key, object value) except NULL
    bint PyUnicode_CheckExact(object text)
    int PyUnicode_KIND(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void* PyUnicode_DATA(object text)

ctypedef const uint8_t* Octets

cdef enum:
    FIELDS_MAXIMUM = 128
    NAME_MAXIMUM = 64  # octets of a field name
    HEAD_MAXIMUM = 65535  # octets of a head, so that a place in it is 16 bits
    LINES_MAXIMUM = 4096  # octets of the fields of a response
    DIGITS_MAXIMUM = 19  # as grammar.LENGTH
    CHUNK_DIGITS_MAXIMUM = 7  # octets of a chunk size: a whole body is in the data, so it is not large

# Fields that mean something here; their places in NAMES.
cdef enum:
    UNKNOWN
    HOST
    CONTENT_LENGTH
    CONTENT_TYPE
    TRANSFER_ENCODING
    CONNECTION
    EXPECT
    UPGRADE
    KEEP_ALIVE
    PROXY_CONNECTION
    TE
    DATE
    SERVER
    COOKIE

cdef tuple NAMES = tuple(
    b" host content-length content-type transfer-encoding connection expect upgrade keep-alive"
    b" proxy-connection te date server cookie"
    b" accept accept-charset accept-encoding accept-language access-control-request-headers"
    b" access-control-request-method authorization cache-control cdn-loop cf-connecting-ip cf-ipcountry"
    b" cf-ray cf-visitor content-disposition content-encoding content-language dnt etag forwarded from"
    b" if-match if-modified-since if-none-match if-range if-unmodified-since last-modified max-forwards"
    b" origin pragma prefer priority proxy-authorization range referer sec-ch-ua sec-ch-ua-mobile"
    b" sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc"
    b" sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version"
    b" traceparent tracestate trailer upgrade-insecure-requests user-agent via x-amzn-trace-id"
    b" x-api-key x-correlation-id x-csrf-token x-csrftoken x-forwarded-for x-forwarded-host"
    b" x-forwarded-port x-forwarded-proto x-forwarded-server x-real-ip x-request-id"
    b" x-requested-with x-scheme".split(b" ")
)
cdef tuple VARIABLES = tuple(map(VariableNames().__getitem__, NAMES))
cdef tuple METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
cdef bytes HTTP_11 = b"1.1"
cdef bytes HTTP_10 = b"1.0"

# Fields that a plain request has once; those it does not have at all
cdef uint32_t SINGLE = (
    1 << HOST | 1 << CONTENT_LENGTH | 1 << CONTENT_TYPE | 1 << TRANSFER_ENCODING | 1 << CONNECTION
)
cdef uint32_t NEVER = 1 << EXPECT | 1 << UPGRADE

cdef uint8_t LOWER[256]  # a token character in lower case, else 0
cdef bint IS_VALUE[256]  # HTAB, SP, VCHAR, obs-text
cdef uint8_t HEX[256]  # one more than a hexadecimal digit stands for, else 0
cdef uint8_t SLOTS[256]  # place in NAMES by hash, 0 where there is none

cdef struct Span:
    uint16_t name
    uint16_t value
    uint16_t end  # of the value
    uint8_t name_length
    uint8_t known  # the place of the name in NAMES

cdef struct Head:
    Py_ssize_t method_end
    Py_ssize_t path_end  # the target begins after method_end and a space
    Py_ssize_t target_end
    Py_ssize_t size
    bint is_current  # HTTP/1.1, not HTTP/1.0
    bint is_chunked
    bint keep_alive
    long long length  # of a counted body
    uint32_t seen  # fields that mean something, one bit each
    int count
    uint8_t places[COOKIE + 1]  # in spans, of the last such field
    Span spans[FIELDS_MAXIMUM]

cdef struct Text:
    Octets start
    Octets end


cdef inline uint8_t slot_of(Octets name, Py_ssize_t length) noexcept:
    return <uint8_t>(length * 3 + name[0] * 5 + name[length >> 1] * 11 + name[length - 1] * 29)


cdef uint8_t find_name(Octets name, Py_ssize_t length) noexcept:
    """The place in NAMES of a name in lower case, at least an octet long; UNKNOWN if it has none."""
    cdef uint8_t slot = slot_of(name, length)
    while SLOTS[slot] != 0:
        known = <PyObject*>(<tuple>NAMES)[SLOTS[slot]]
        if (
            PyBytes_GET_SIZE(<bytes>known) == length
            and memcmp(PyBytes_AS_STRING(<bytes>known), name, length) == 0
        ):
            return SLOTS[slot]
        slot += 1  # wraps, and the table has free slots
    return UNKNOWN


cdef prepare_tables():
    """The classes of octets, from the one grammar that there is, and where the names are."""
    cdef int octet
    cdef uint8_t slot
    for octet in range(256):
        one = bytes([octet])
        LOWER[octet] = one.lower()[0] if TOKEN.fullmatch(one) else 0
        IS_VALUE[octet] = CONTROL.fullmatch(one) is None
    for value, digit in enumerate("0123456789abcdef"):
        HEX[ord(digit)] = HEX[ord(digit.upper())] = value + 1
    for place, name in enumerate(NAMES):
        if name:
            slot = slot_of(name, len(name))
            while SLOTS[slot]:
                slot += 1
            SLOTS[slot] = place


prepare_tables()


# What stands where in a head


cdef Octets skip_target(Octets position, Octets end, uint8_t stop) noexcept:
    """The first octet that is not visible ASCII, or is ``#`` or ``stop``."""
    while position < end and 0x21 <= position[0] <= 0x7E:
        if position[0] == c"#" or position[0] == stop:
            break
        position += 1
    return position


cdef Octets skip_value(Octets position, Octets end) noexcept:
    """The first octet that is in no field value (RFC 9110 5.5): a control character but HTAB.

    Eight octets at a time while none of them is below a space or DEL; borrows can only make more of
    them look as if they were, and then they are looked at one by one.
    """
    cdef uint64_t ones = 0x0101010101010101
    cdef uint64_t octets, deleted
    while end - position >= 8:
        memcpy(&octets, position, 8)
        deleted = octets ^ ones * 0x7F
        if ((octets - ones * 0x20) & ~octets | (deleted - ones) & ~deleted) & ones * 0x80:
            break
        position += 8
    while position < end and IS_VALUE[position[0]]:
        position += 1
    return position


cdef Text stripped(Octets start, Octets end) noexcept:
    """Without white space at both ends (OWS, RFC 9110 5.6.3)."""
    while start < end and (start[0] == c" " or start[0] == c"\t"):
        start += 1
    while start < end and ((end - 1)[0] == c" " or (end - 1)[0] == c"\t"):
        end -= 1
    return Text(start, end)


cdef Octets scan_request_line(Octets start, Octets end, Head* head) noexcept:
    """``method SP origin-form SP HTTP-version CRLF`` (RFC 9112 3); what follows it, or NULL."""
    cdef Octets position = start
    while position < end and LOWER[position[0]]:
        position += 1
    head.method_end = position - start
    if position == start or end - position < 2 or position[0] != c" " or position[1] != c"/":
        return NULL
    position = skip_target(position + 1, end, c"?")
    head.path_end = position - start
    position = skip_target(position, end, 0)
    head.target_end = position - start
    if end - position < 11 or memcmp(position, b" HTTP/1.", 8) != 0:
        return NULL
    if position[8] != c"0" and position[8] != c"1" or position[9] != c"\r" or position[10] != c"\n":
        return NULL
    head.is_current = position[8] == c"1"
    return position + 11


cdef Octets scan_field(Octets start, Octets line, Octets end, Span* span) noexcept:
    """``field-name ":" OWS field-value OWS CRLF`` (RFC 9112 5); what follows it, or NULL."""
    cdef uint8_t lowered[NAME_MAXIMUM]
    cdef Octets position = line
    cdef Py_ssize_t length = 0
    while position < end and length < NAME_MAXIMUM and LOWER[position[0]]:
        lowered[length] = LOWER[position[0]]
        length += 1
        position += 1
    if length == 0 or position == end or position[0] != c":":
        return NULL
    cdef Octets value_end = skip_value(position + 1, end)
    if end - value_end < 2 or value_end[0] != c"\r" or value_end[1] != c"\n":
        return NULL
    if value_end - start > HEAD_MAXIMUM:
        return NULL
    cdef Text value = stripped(position + 1, value_end)
    span.name = <uint16_t>(line - start)
    span.value = <uint16_t>(value.start - start)
    span.end = <uint16_t>(value.end - start)
    span.name_length = <uint8_t>length
    span.known = find_name(lowered, length)
    return value_end + 2


cdef bint scan_head(Octets start, Octets end, Limits limits, Head* head) noexcept:
    """Fill ``head``; whether all of it is there, well formed and within the limits."""
    cdef Octets line
    cdef uint32_t bit
    cdef Span* span
    cdef Octets position = scan_request_line(start, end, head)
    if position == NULL or position - start - 2 > limits.request_line:
        return False
    head.seen = 0
    head.count = 0
    while end - position >= 2 and position[0] != c"\r":
        if head.count == FIELDS_MAXIMUM or head.count == limits.fields:
            return False
        line = position
        span = &head.spans[head.count]
        position = scan_field(start, line, end, span)
        if position == NULL or position - line - 2 > limits.field_size:
            return False
        if UNKNOWN < span.known <= UPGRADE:
            bit = <uint32_t>1 << span.known
            if bit & (head.seen & SINGLE | NEVER):
                return False
            head.seen |= bit
            head.places[span.known] = <uint8_t>head.count
        head.count += 1
    if end - position < 2 or position[0] != c"\r" or position[1] != c"\n":
        return False
    head.size = position + 2 - start
    return head.size <= HEAD_MAXIMUM


# What it means


cdef inline Text value_of(Octets start, Head* head, int known) noexcept:
    cdef Span* span = &head.spans[head.places[known]]
    return Text(start + span.value, start + span.end)


cdef bint is_word(Text text, Octets word, Py_ssize_t length) noexcept:
    """Whether the text is ``word``, which is in lower case and made of token characters."""
    if text.end - text.start != length:
        return False
    for index in range(length):
        if LOWER[text.start[index]] != word[index]:
            return False
    return True


cdef bint is_chunked(Text coding) noexcept:
    """Whether it is ``chunked`` in lower case, for h11 gives it so to applications."""
    return coding.end - coding.start == 7 and memcmp(coding.start, b"chunked", 7) == 0


cdef bint is_plain_host(Text host) noexcept:
    """``reg-name [":" port]`` without percent-encoding; a part of grammar.HOST."""
    cdef Octets position = host.start
    cdef Py_ssize_t digits
    while position < host.end and (
        c"a" <= position[0] | 0x20 <= c"z"
        or c"0" <= position[0] <= c"9"
        or position[0] == c"."
        or position[0] == c"-"
        or position[0] == c"_"
    ):
        position += 1
    if position == host.start:
        return False
    if position == host.end:
        return True
    digits = host.end - position - 1
    if position[0] != c":" or digits > 5:
        return False
    return digits == 0 or 0 <= number(Text(position + 1, host.end)) <= 65535


cdef long long number(Text text) noexcept:
    """One to 18 digits; -1 for anything else."""
    cdef Octets position = text.start
    cdef long long value = 0
    if not 1 <= text.end - text.start < DIGITS_MAXIMUM:
        return -1
    while position < text.end:
        if not c"0" <= position[0] <= c"9":
            return -1
        value = value * 10 + (position[0] - c"0")
        position += 1
    return value


cdef bint judge_framing(Octets start, Head* head, Limits limits) noexcept:
    """Set what the framing fields say; whether all of them are plain (as ``request.read_request``)."""
    cdef uint32_t seen = head.seen
    head.length = 0
    head.keep_alive = head.is_current
    head.is_chunked = seen >> TRANSFER_ENCODING & 1
    if seen >> HOST & 1:
        if not is_plain_host(value_of(start, head, HOST)):
            return False
    elif head.is_current:
        return False
    if seen >> CONTENT_LENGTH & 1:
        head.length = number(value_of(start, head, CONTENT_LENGTH))
        if head.is_chunked or not 0 <= head.length <= limits.body:
            return False
    if head.is_chunked and not (
        head.is_current and is_chunked(value_of(start, head, TRANSFER_ENCODING))
    ):
        return False
    if seen >> CONNECTION & 1:
        if is_word(value_of(start, head, CONNECTION), b"close", 5):
            head.keep_alive = False
        elif not is_word(value_of(start, head, CONNECTION), b"keep-alive", 10):
            return False
    return True


cdef Octets join_chunks(Octets position, Octets end, uint8_t* content, long long* total) noexcept:
    """What follows a chunked body that is whole and has neither extensions nor trailers, or NULL.

    Its content is copied to ``content``, unless that is NULL, and counted in ``total``. A size has no
    leading zeros, so there cannot be much more framing than content (chunked.OVERHEAD_RATIO).
    """
    cdef Py_ssize_t size
    cdef int digits
    total[0] = 0
    while True:
        size = digits = 0
        while position < end and digits < CHUNK_DIGITS_MAXIMUM and HEX[position[0]]:
            size = size * 16 + HEX[position[0]] - 1
            digits += 1
            position += 1
        if digits == 0 or end - position < 4 or position[0] != c"\r" or position[1] != c"\n":
            return NULL
        position += 2
        if size == 0:
            is_end = digits == 1 and position[0] == c"\r" and position[1] == c"\n"
            return position + 2 if is_end else NULL
        if size >> 4 * (digits - 1) == 0 or end - position - 2 < size:
            return NULL
        if position[size] != c"\r" or position[size + 1] != c"\n":
            return NULL
        if content != NULL:
            memcpy(content + total[0], position, size)
        total[0] += size
        position += size + 2


# What Python sees of it


@cython.final
@cython.no_gc
cdef class ScannedFields(Fields):
    """The fields of one head: where they are. What Python needs of them is made when it asks."""

    cdef bytes source
    cdef bytes spans  # an array of Span
    cdef int count

    cpdef list pairs(self):
        cdef int index
        if self._pairs is None:
            self._pairs = [self.pair(index) for index in range(self.count)]
        return self._pairs

    cdef inline const Span* span(self, int index) noexcept:
        return <const Span*>PyBytes_AS_STRING(self.spans) + index

    cdef inline tuple pair(self, int index):
        cdef const Span* span = self.span(index)
        value = PyBytes_AS_STRING(self.source) + span.value
        return self.name(span), PyBytes_FromStringAndSize(value, span.end - span.value)

    cdef inline bytes name(self, const Span* span):
        if span.known != UNKNOWN:
            return <bytes>NAMES[span.known]
        cdef char* source = PyBytes_AS_STRING(self.source) + span.name
        return PyBytes_FromStringAndSize(source, span.name_length).lower()

    cpdef add_variables(self, dict environ, names):
        cdef int index
        cdef const Span* span
        cdef str variable
        for index in range(self.count):
            span = self.span(index)
            if span.known != UNKNOWN:
                variable = <str>VARIABLES[span.known]
            else:
                variable = names[self.name(span)]
            if variable:
                self.add_variable(environ, variable, span)

    cdef inline add_variable(self, dict environ, str variable, const Span* span):
        cdef Py_ssize_t size = PyDict_Size(environ)
        cdef char* source = PyBytes_AS_STRING(self.source) + span.value
        text = PyUnicode_DecodeLatin1(source, span.end - span.value, NULL)
        before = <object>PyDict_SetDefault(environ, variable, text)
        # Not whether it is the same object: one character is always the same.
        if PyDict_Size(environ) == size:
            environ[variable] = before + ("; " if variable == "HTTP_COOKIE" else ",") + text


cdef inline bytes slice_of(bytes data, Py_ssize_t start, Py_ssize_t end):
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + start, end - start)


cdef bytes method_of(bytes data, Py_ssize_t length):
    for method in METHODS:
        if (
            PyBytes_GET_SIZE(<bytes>method) == length
            and memcmp(PyBytes_AS_STRING(<bytes>method), PyBytes_AS_STRING(data), length) == 0
        ):
            return <bytes>method
    return slice_of(data, 0, length)


cdef Request new_request(bytes data, Head* head):
    """The request of a head that was judged to be plain."""
    cdef Request request = Request.__new__(Request)
    cdef ScannedFields fields = ScannedFields.__new__(ScannedFields)
    cdef Py_ssize_t target = head.method_end + 1
    fields.source = data
    fields.count = head.count
    fields.spans = PyBytes_FromStringAndSize(<char*>head.spans, head.count * sizeof(Span))
    request.fields = fields
    request.method = method_of(data, head.method_end)
    request.http_version = HTTP_11 if head.is_current else HTTP_10
    request.target = request.raw_path = request.path = slice_of(data, target, head.path_end)
    request.query = b""
    if head.target_end > head.path_end:
        request.target = slice_of(data, target, head.target_end)
        request.query = slice_of(data, head.path_end + 1, head.target_end)
    if memchr(PyBytes_AS_STRING(request.path), c"%", PyBytes_GET_SIZE(request.path)) != NULL:
        request.path = decoded(request.path)
    request.content_length = None if head.is_chunked else head.length
    request.chunked = head.is_chunked
    request.has_body = head.is_chunked or head.length > 0
    request.keep_alive = head.keep_alive
    request.size = head.size
    return request


cdef Request read_plain_head(bytes data, Limits limits):
    """The request whose head ``data`` begin with, None for what is not plainly right."""
    cdef Head head
    if data is None or limits is None:
        raise TypeError("there are no data or no limits")
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    if not scan_head(start, start + PyBytes_GET_SIZE(data), limits, &head):
        return None
    if not judge_framing(start, &head, limits):
        return None
    request = new_request(data, &head)
    return None if request.method == b"CONNECT" else request


cdef find_counted_body(Request request, bytes data):
    """As ``Request.find_body``, in C."""
    cdef long long length = request.content_length
    if PyBytes_GET_SIZE(data) - request.size >= length:
        request.body = slice_of(data, request.size, request.size + length)
        request.size += length


cdef bint find_chunked_body(Request request, bytes data, Limits limits) except -1:
    """Set the body if all of its chunks are there and plain."""
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    cdef Octets end = start + PyBytes_GET_SIZE(data)
    cdef Octets body = start + request.size
    cdef long long total
    cdef Octets after = join_chunks(body, end, NULL, &total)
    if after == NULL or total > limits.body:
        return False
    request.body = PyBytes_FromStringAndSize(NULL, total)
    join_chunks(body, end, <uint8_t*>PyBytes_AS_STRING(request.body), &total)
    request.size = after - start
    return True


cpdef Request read_plain(bytes data, Limits limits):
    """The request that ``data`` begin with, with its body if that is whole; None for all but the plain."""
    request = read_plain_head(data, limits)
    if request is None:
        return None
    if not request.chunked:
        find_counted_body(request, data)
        return request
    return request if find_chunked_body(request, data, limits) else None


# Responses


cdef bint octets_of(object string, bint text, Text* octets) noexcept:
    """Whether it is bytes, or with ``text`` a latin-1 str; then what it holds."""
    if text:
        if not PyUnicode_CheckExact(string) or PyUnicode_KIND(string) != 1:
            return False
        octets.start = <Octets>PyUnicode_DATA(string)
        octets.end = octets.start + PyUnicode_GET_LENGTH(string)
        return True
    if not PyBytes_CheckExact(string):
        return False
    octets.start = <Octets>PyBytes_AS_STRING(string)
    octets.end = octets.start + PyBytes_GET_SIZE(string)
    return True


cdef int known_name(Text name) noexcept:
    """The place of a response field's name in NAMES, UNKNOWN if it has none; -1 if it is none."""
    cdef uint8_t lowered[NAME_MAXIMUM]
    cdef Py_ssize_t length = name.end - name.start
    if not 1 <= length <= NAME_MAXIMUM:
        return -1
    for index in range(length):
        lowered[index] = LOWER[name.start[index]]
        if lowered[index] == 0:
            return -1
    return find_name(lowered, length)


cdef int note_field(ResponseFields fields, int known, Text value) except -2:
    """As ``ResponseFields.note``: whether the field goes out as it is; -1 where that is not plain."""
    cdef long long length
    if known == CONTENT_LENGTH:
        length = number(value)
        if length < 0 or fields.content_length is not None:
            return -1
        fields.content_length = length
        return 0
    if known == CONNECTION:
        if is_word(value, b"close", 5):
            fields.wants_close = True
            return 0
        return 0 if is_word(value, b"keep-alive", 10) else -1
    if known == DATE:
        fields.has_date = True
    elif known == SERVER:
        fields.has_server = True
    return known not in (KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE)


cdef uint8_t* add_line(uint8_t* line, uint8_t* end, Text name, Text value) noexcept:
    """Write ``name: value CRLF``; where the next line goes, or NULL when there is no room."""
    cdef Py_ssize_t name_length = name.end - name.start
    cdef Py_ssize_t value_length = value.end - value.start
    if end - line < name_length + value_length + 4:
        return NULL
    memcpy(line, name.start, name_length)
    line += name_length
    memcpy(line, b": ", 2)
    memcpy(line + 2, value.start, value_length)
    memcpy(line + 2 + value_length, b"\r\n", 2)
    return line + value_length + 4


cpdef ResponseFields write_plain(headers, bint text):
    """The fields of a response, None for what is not plainly right."""
    cdef uint8_t lines[LINES_MAXIMUM]
    cdef uint8_t* line = lines
    cdef ResponseFields fields = ResponseFields.__new__(ResponseFields)
    cdef Text name, value
    cdef int known, goes_out
    if type(headers) is not list:
        return None
    for pair in <list>headers:
        if type(pair) is not tuple or len(<tuple>pair) != 2:
            return None
        if not octets_of((<tuple>pair)[0], text, &name) or not octets_of((<tuple>pair)[1], text, &value):
            return None
        known = known_name(name)
        if known < 0 or skip_value(value.start, value.end) != value.end:
            return None
        value = stripped(value.start, value.end)
        goes_out = note_field(fields, known, value)
        if goes_out < 0:
            return None
        if goes_out:
            line = add_line(line, lines + LINES_MAXIMUM, name, value)
            if line == NULL:
                return None
    fields.lines = PyBytes_FromStringAndSize(<char*>lines, line - lines)
    return fields


cdef bytes joined(list parts):
    """``b"".join(parts)`` without a buffer for each part; None when not all of them are bytes."""
    cdef Py_ssize_t size = 0
    cdef char* end
    for part in parts:
        if not PyBytes_CheckExact(part):
            return None
        size += PyBytes_GET_SIZE(<bytes>part)
    whole = PyBytes_FromStringAndSize(NULL, size)
    end = PyBytes_AS_STRING(whole)
    for part in parts:
        size = PyBytes_GET_SIZE(<bytes>part)
        memcpy(end, PyBytes_AS_STRING(<bytes>part), size)
        end += size
    return whole


@cython.final
cdef class FastEngine(Engine):
    """What is plainly right in C, and the rest by the reference."""

    cpdef Request recognise(self, bytes data, Limits limits):
        request = read_plain(data, limits)
        return Engine.recognise(self, data, limits) if request is None else request

    cpdef tuple read_head(self, bytes head, Limits limits):
        request = read_plain_head(head, limits)
        if request is None or request.chunked:
            return Engine.read_head(self, head, limits)
        return request, None

    cpdef ResponseFields write_fields(self, headers, bint text):
        fields = write_plain(headers, text)
        return Engine.write_fields(self, headers, text) if fields is None else fields

    cpdef bytes join(self, list parts):
        whole = joined(parts)
        return Engine.join(self, parts) if whole is None else whole
