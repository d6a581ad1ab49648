// Vercel AI SDK, one scenario by name. `ai_sdk.mjs SCENARIO [responses]`; settings come from the environment.
import { openai } from "@ai-sdk/openai";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [scenario, api] = process.argv.slice(2);
const make = api === "responses" ? openai.responses : openai.chat;
const model = make("gpt-4o-mini");
const prompt = process.env.PROMPT ?? "Say hello to the class.";
const text = async (options) => (await generateText({ model, prompt, ...options })).text;

const scenarios = {
  chat: () => text(),

  other_model: () => text({ model: make("gpt-4o") }),

  async stream() {
    const pieces = [];
    let failure; // textStream ends without a word; the error is only told here
    const { textStream } = streamText({ model, prompt, onError: ({ error }) => (failure = error) });
    for await (const piece of textStream) pieces.push(piece);
    if (failure) throw failure;
    return pieces;
  },

  async tools() {
    const asked = [];
    const weather = tool({
      description: "Tell the weather in a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async (given) => {
        asked.push(given);
        return "sunny";
      },
    });
    const found = await text({ tools: { weather }, stopWhen: stepCountIs(3) });
    return { arguments: asked[0], text: found };
  },

  async structured() {
    const schema = z.object({ title: z.string(), points: z.array(z.string()) });
    return (await generateText({ model, prompt, output: Output.object({ schema }) })).output;
  },

  async embeddings() {
    const embedding = openai.embedding("text-embedding-3-small");
    const { embeddings } = await embedMany({ model: embedding, values: ["A", "B", "C"] });
    return embeddings.map((found) => found.length);
  },

  async leave() {
    const abort = new AbortController();
    const { textStream } = streamText({ model, prompt, maxOutputTokens: 200, abortSignal: abort.signal });
    for await (const piece of textStream) abort.abort();
    return "left";
  },
};

const told = await scenarios[scenario]().then(
  (value) => ({ value }),
  (error) => {
    const last = error.lastError ?? error;
    const body = JSON.parse(last.responseBody ?? "{}");
    const { name, message } = error;
    return { error: { name, status: last.statusCode ?? null, code: body.error?.code ?? null, message } };
  },
);
console.log(JSON.stringify(told));
