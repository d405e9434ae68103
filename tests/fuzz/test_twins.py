"""The compiled modules say what their sources say, and both engines say the same."""

from __future__ import annotations

import h11
from hypothesis import event, given

from tests.fuzz.reading import Arrival, compare_reading
from tests.fuzz.request_strategies import arrivals
from tests.fuzz.response_strategies import answers
from tests.fuzz.writing import LARGE, Answer, Writer, compare_writing


@given(arrivals())
def test_requests(arrival: Arrival) -> None:
    said = compare_reading(arrival)
    event("accepts" if any("('request'," in step for step in said) else "does not accept")


@given(answers())
def test_responses(answer: Answer) -> None:
    writer = compare_writing(answer)
    event("text" if ("text", True) in answer.calls[0].options else "bytes")
    event("ends" if writer.responder.ended else "does not end")
    if writer.responder.ended and writer.responder.body_bytes <= LARGE:
        check_by_h11(answer, writer)


def check_by_h11(answer: Answer, writer: Writer) -> None:
    """A client reads one response from it, and so many octets of content."""
    client = h11.Connection(h11.CLIENT)
    method, _, _ = answer.request.partition(b" ")
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(writer.output)
    if writer.connection.our_state.name == "MUST_CLOSE":
        client.receive_data(b"")
    while isinstance(response := client.next_event(), h11.InformationalResponse):
        pass
    assert isinstance(response, h11.Response)
    assert response.status_code == writer.responder.status
    count = 0
    while isinstance(part := client.next_event(), h11.Data):
        count += len(part.data)
    assert isinstance(part, h11.EndOfMessage)
    assert count == writer.responder.body_bytes
    assert client.trailing_data[0] == b""
