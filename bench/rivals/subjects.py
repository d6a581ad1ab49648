"""LiteLLM's proxy and Portkey's gateway, each as plain as it comes, one worker, no database of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from bench.rivals.environment import LITELLM, PORTKEY
from bench.subjects import CREDENTIAL, Subject, Upstream, free_port, start, without_settings

MASTER_KEY: Final = "sk-bench-master-0123456789"


def start_litellm(upstream: Upstream, folder: Path) -> Subject:
    """LiteLLM's proxy with its master key: it knows no other key without its database."""
    folder.mkdir()
    port = free_port()
    config = folder / "config.yaml"  # JSON is YAML too
    parameters = {
        "model": "openai/gpt-4o-mini",
        "api_base": upstream.url,
        "api_key": CREDENTIAL,
    }
    config.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": parameters}],
                "general_settings": {"master_key": MASTER_KEY},
                "litellm_settings": {"telemetry": False},
            }
        )
    )
    environment = without_settings() | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise it fetches its prices at the start
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
    }
    command = (
        *(str(LITELLM), "--config", str(config), "--host", "127.0.0.1"),
        *("--port", str(port), "--num_workers", "1"),
    )
    subject = start("litellm", command, environment, folder, port, ready="/health/liveliness")
    subject.keys.append(MASTER_KEY)
    return subject


def start_portkey(upstream: Upstream, folder: Path) -> Subject:
    """Portkey's gateway: it keeps no keys and no budgets, and takes the provider's key with each call."""
    folder.mkdir()
    port = free_port()
    environment = without_settings() | {"NODE_ENV": "production"}
    command = ("node", str(PORTKEY), f"--port={port}", "--headless")
    subject = start("portkey", command, environment, folder, port, ready="/")
    subject.keys.append(CREDENTIAL)
    subject.headers = ("x-portkey-provider: openai", f"x-portkey-custom-host: {upstream.url}")
    return subject
