// Asks a model through an SDK with its defaults, and prints what came of it as JSON. Each line of
// the input is a request: openai or anthropic, ask or stream, and the base URL.
import { createInterface } from 'node:readline'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

const messages = [{ role: 'user', content: 'hello' }]

const sdks = {
  openai: {
    create: (baseURL, stream) => new OpenAI({ baseURL: baseURL + '/v1', apiKey: 'sk-secret' })
      .chat.completions.create({ model: 'gpt', messages, stream }),
    whole: (r) => r.choices[0].message.content,
    part: (e) => e.choices?.[0]?.delta?.content ?? '',
  },
  anthropic: {
    create: (baseURL, stream) => new Anthropic({ baseURL, apiKey: 'sk-secret' })
      .messages.create({ model: 'claude', max_tokens: 10, messages, stream }),
    whole: (r) => r.content[0].text,
    part: (e) => e.delta?.text ?? '',
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, how, base] = line.split(' ')
  const sdk = sdks[name]
  const out = { text: '', error: '', status: 0 }
  try {
    const r = await sdk.create(base, how === 'stream')
    if (how === 'stream') for await (const e of r) out.text += sdk.part(e)
    else out.text = sdk.whole(r)
  } catch (e) {
    const body = JSON.stringify(e.error ?? null)
    out.error = `${e.constructor.name}: ${e.message} ${body}`
    out.status = e.status ?? 0
  }
  console.log(JSON.stringify(out))
}
