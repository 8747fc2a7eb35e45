"""The one object that turns questions and answers into tokens: for teachers, training, scoring and evaluation.

The prompt is what the model's own chat template writes, generation prompt included. The target is never passed
through the template (public templates drop or move text of an assistant turn, text before a think block above
all): it is the answer's own text and the token that the template ends an assistant turn with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.thinking import CLOSE, OPEN

_PROBE_QUESTION = "A bag holds {3} red & 4 blue balls.\nHow many balls are in 2 bags?"
_PROBE_TARGETS = (
    "3 + 4 = 7\n7 * 2 = 14\nAnswer: 14",
    "<think>\nOne bag holds 7, so 2 bags hold 14.\n</think>\n\nThe answer is \\boxed{14}.",
    "Skills:\nArithmetic -> Addition -> Small numbers\n3 + 4 = 7",
    " starts with a space",
    "\nstarts with a line break",
    "14",
)
_MARK = "QXZV7"
"""Stands for an answer where the template is asked what it writes after one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What `ChatTemplate.check` found that is no error.

    `merged` of `probes` targets would share a token with the end of the prompt if the two were tokenised as one
    text. That is harmless: prompt and target are tokenised apart everywhere, in sampling too.
    """

    probes: int
    merged: int
    notes: tuple[str, ...]


class ChatTemplate:
    """A tokenizer's chat template with one system prompt and one wording of the user turn.

    `system_prompt` None leaves the system turn to the template, "" gives an empty one (which takes the place of
    a default). `prompt` is the text of the user turn; {question} in it stands for the question, and the question
    is put in as it is, braces and all. `thinking` is given to the template as `enable_thinking`; null leaves it out.

    Some templates open the think block at the end of the prompt. Then a target goes on from there (`continued`), and
    what a model writes gets the opening back (`whole`), so that every text of the program holds its whole block.
    """

    def __init__(self, tokenizer: Any, system_prompt: str | None, prompt: str, thinking: bool | None = None) -> None:
        self.tokenizer = tokenizer
        self.system_prompt = system_prompt
        self.prompt = prompt
        self.thinking = thinking

    def prompt_text(self, question: str) -> str:
        """All that stands before the answer's first character."""
        return self._render(question, None)

    def prompt_ids(self, question: str) -> list[int]:
        """`prompt_text` as tokens; the template writes the special tokens, the tokenizer adds none."""
        return self._tokens(self.prompt_text(question))

    def target_ids(self, text: str) -> list[int]:
        """The answer `text` as tokens, and the end token: what is trained, scored and hoped for."""
        return [*self._tokens(self.continued(text)), self.end_id]

    @cached_property
    def opening(self) -> str:
        """The opening of a think block that the prompt ends with, white space after it included; "" for none."""
        text = self.prompt_text(_PROBE_QUESTION)
        return text[text.rindex(OPEN) :] if text.rstrip().endswith(OPEN) else ""

    def continued(self, text: str) -> str:
        """`text` as it goes on after the prompt: an opening that stands there already is not written twice.

        A text without a think block closes the one that the prompt opened: it would else be all thought.
        """
        if not self.opening:
            return text
        if text.startswith(OPEN):
            return text.removeprefix(self.opening if text.startswith(self.opening) else OPEN)
        return text if CLOSE in text else f"\n{CLOSE}\n\n{text}"

    def whole(self, text: str) -> str:
        """What a model wrote after the prompt, with the think block's opening that the prompt held."""
        return text if text.startswith(OPEN) else self.opening + text

    @cached_property
    def end_id(self) -> int:
        """The token the template ends an assistant turn with. `StageError` where it writes none."""
        after = self._render("Hello", _MARK).partition(_MARK)[2]
        ids = self._tokens(after)
        special = set(self.tokenizer.all_special_ids) | {
            token for token, entry in self.tokenizer.added_tokens_decoder.items() if entry.special
        }
        if not ids or ids[0] not in special:
            raise StageError(
                "The chat template writes no end token after an answer"
                + (f" but {after[:20]!r}" if after else "")
                + ": a student trained with it would never stop.",
                "Choose an instruct model, or give the tokenizer a chat_template that ends each turn.",
            )
        return ids[0]

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer: the end token, the tokenizer's eos, and those of generation_config.json."""
        stops = {self.end_id}
        if self.tokenizer.eos_token_id is not None:
            stops.add(self.tokenizer.eos_token_id)
        settings = Path(self.tokenizer.name_or_path) / "generation_config.json"
        if settings.is_file():
            eos = json.loads(settings.read_text()).get("eos_token_id")
            stops.update(eos if isinstance(eos, list) else [] if eos is None else [eos])
        return tuple(sorted(stops))

    @cached_property
    def pad_id(self) -> int:
        """A token to fill rows with: not a stop token where the tokenizer has another.

        Masks come from lengths, never from this id, so a pad that is also the end token does no harm.
        """
        for candidate in (self.tokenizer.pad_token_id, self.tokenizer.unk_token_id):
            if candidate is not None and candidate not in self.stop_ids:
                return int(candidate)
        return self.end_id

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all that shapes the text: template, system prompt, prompt, special and stop tokens."""
        parts = {
            "template": self._source(),
            "system_prompt": self.system_prompt,
            "prompt": self.prompt,
            "thinking": self.thinking,
            "special": {key: str(value) for key, value in self.tokenizer.special_tokens_map.items()},
            "end": self.end_id,
            "stop": self.stop_ids,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def check(self) -> Checked:
        """Prove on probe texts that nothing is lost or doubled on the way to tokens, or raise `StageError`.

        Raises where there is no chat template, where it drops or repeats the question or the system prompt,
        where it writes no end token, and where a target does not come back from its tokens whole or holds the
        end token anywhere but at its end.
        """
        text = self.prompt_text(_PROBE_QUESTION)
        user = self._user(_PROBE_QUESTION)
        if text.count(user.strip()) != 1:
            fault = "drops or changes" if user.strip() not in text else "repeats"
            raise StageError(f"The chat template {fault} the user's text.", _OTHER_TEMPLATE)
        if self.system_prompt and self.system_prompt.strip() not in text:
            raise StageError(
                "The chat template drops the system prompt.", "Set system_prompt to null, or say it in `prompt`."
            )
        prompt, merged = self.prompt_ids(_PROBE_QUESTION), 0
        for target in _PROBE_TARGETS:
            ids = self.target_ids(target)
            if ids.count(self.end_id) != 1:
                raise StageError(f"The end token stands {ids.count(self.end_id)} times in one target.", _OTHER_TEMPLATE)
            back = self.tokenizer.decode(ids[:-1], skip_special_tokens=False)
            if back.split() != self.continued(target).split():
                raise StageError(f"The tokenizer does not give back {target!r} but {back!r}.", "Choose another model.")
            merged += prompt + ids[:-1] != self._tokens(text + self.continued(target))
        return Checked(len(_PROBE_TARGETS), merged, tuple(self._notes()))

    def _notes(self) -> list[str]:
        notes = []
        if "strftime_now" in self._source():
            notes.append("The chat template can write today's date, so prompts may differ from day to day.")
        if self.opening:
            notes.append("The chat template opens <think> itself: targets go on from there, answers get it back.")
        if self.thinking is not None and "enable_thinking" not in self._source():
            notes.append("The chat template has no switch for thinking, so `thinking` changes nothing.")
        return notes

    def _user(self, question: str) -> str:
        return self.prompt.replace("{question}", question)

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _source(self) -> str:
        if not self.tokenizer.chat_template:
            raise StageError(
                "The model has no chat template, so there is no telling how it is to be asked.",
                "Choose an instruct model, or give a folder whose tokenizer has a chat_template.",
            )
        return str(self.tokenizer.get_chat_template())

    def _render(self, question: str, answer: str | None) -> str:
        """Up to the answer, or with it and all that the template writes after it."""
        from jinja2.exceptions import TemplateError

        self._source()
        messages = [] if self.system_prompt is None else [{"role": "system", "content": self.system_prompt}]
        messages.append({"role": "user", "content": self._user(question)})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        switch = {} if self.thinking is None else {"enable_thinking": self.thinking}
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=answer is None, **switch
            )
        except TemplateError as error:
            raise StageError(
                f"The chat template refuses the conversation: {error}.",
                "Set system_prompt to null: some templates take no system turn."
                if self.system_prompt is not None
                else _OTHER_TEMPLATE,
            ) from error
        return text


_OTHER_TEMPLATE = "Choose another model, or give its folder a corrected chat_template.jinja."
