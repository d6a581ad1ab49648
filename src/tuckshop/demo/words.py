"""What the demo says when it is up: how to call it at once, and where to look."""

from __future__ import annotations

from pathlib import Path

from tuckshop.demo import story

QUESTION = "What is a tuck shop?"


def greeting(*, url: str, token: str, folder: Path, secret: str, command: str) -> str:
    """All of it. *command*: how to call tuckshop from here."""
    student = story.external_id(story.SHOWN)
    return f"""\
The demo is up: a made-up provider, {len(story.NAMES)} made-up students, a week of use. Nothing of it costs money.

  address       {url}/v1
  a key         {secret}
                of {story.NAMES[story.SHOWN]}, {story.GROUP}/{student}
  admin token   {token}
                (kept in {folder / "admin-token"})

Watch an answer come in, from another terminal:

  curl -N {url}/v1/chat/completions \\
    -H "Authorization: Bearer {secret}" -H "Content-Type: application/json" \\
    -d '{{"model": "{story.CHAT}", "stream": true, "messages": [{{"role": "user", "content": "{QUESTION}"}}]}}'

The same in Python (pip install openai):

  from openai import OpenAI

  client = OpenAI(base_url="{url}/v1", api_key="{secret}")
  stream = client.chat.completions.create(
      model="{story.CHAT}",
      messages=[{{"role": "user", "content": "{QUESTION}"}}],
      stream=True,
  )
  for event in stream:
      print(event.choices[0].delta.content or "", end="", flush=True)

See what it cost, and how the class is doing:

  export TUCKSHOP_DATA={folder.absolute()}
  {command} member show {story.GROUP}/{student}
  {command} member list --group {story.GROUP}
  {command} log --limit 20
  {command} usage --by model
  {command} verify

The real thing: OPENAI_API_KEY=sk-… {command} serve

Ctrl-C ends the demo; the next one starts afresh.
"""
