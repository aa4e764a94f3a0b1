"""Asks a model with a plain HTTP client, and prints what came of it as JSON.

The argument is httpx or requests. Each line of the input is a request: openai or anthropic, ask or
stream, and the base URL.
"""

import json
import sys

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
HEADERS = {"Authorization": "Bearer sk-secret"}


def whole(name, answer):
    if name == "openai":
        return answer["choices"][0]["message"]["content"]
    return answer["content"][0]["text"]


def part(name, line):
    if not line.startswith("data: {"):
        return ""
    event = json.loads(line[len("data: "):])
    if name == "openai":
        return event["choices"][0]["delta"].get("content", "")
    return event.get("delta", {}).get("text", "")


def by_httpx(name, how, url, body):
    import httpx

    with httpx.Client(timeout=30) as client:
        if how == "ask":
            r = client.post(url, headers=HEADERS, json=body)
            r.raise_for_status()
            yield whole(name, r.json())
            return
        with client.stream("POST", url, headers=HEADERS, json=body) as r:
            r.raise_for_status()
            for line in r.iter_lines():
                yield part(name, line)


def by_requests(name, how, url, body):
    import requests

    streams = how == "stream"
    with requests.post(url, headers=HEADERS, json=body, stream=streams, timeout=30) as r:
        r.raise_for_status()
        if not streams:
            yield whole(name, r.json())
            return
        for line in r.iter_lines(decode_unicode=True):
            yield part(name, line)


ask = {"httpx": by_httpx, "requests": by_requests}[sys.argv[1]]
for request in sys.stdin:
    name, how, base = request.split()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    body["stream"] = how == "stream"
    out = {"text": "", "error": "", "status": 0}
    try:
        for text in ask(name, how, base + PATHS[name], body):
            out["text"] += text
    except Exception as e:
        response = getattr(e, "response", None)
        # The response of a failure is falsy in requests.
        out["status"] = 0 if response is None else response.status_code
        out["error"] = type(e).__name__ + ": " + str(e)
    print(json.dumps(out), flush=True)
