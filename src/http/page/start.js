const base = ROOT.href.replace(/\/$/, '');
at('openai').textContent = base + '/v1';
at('anthropic').textContent = base;
// Only the default key is in the page.
const key = at('api-key')?.textContent;
// In quotes that let a shell neither expand `$` nor `!`, or as the variable.
const quoted = key ? `'${key}'` : '"$PIPELINES_API_KEY"';
at('curl').textContent = `curl ${base}/v1/models -H ${key ? `'Authorization: Bearer ${key}'` : '"Authorization: Bearer $PIPELINES_API_KEY"'}`;
at('python').textContent = `${key ? '' : 'import os\n'}from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key=${key ? `"${key}"` : 'os.environ["PIPELINES_API_KEY"]'})\nmodels = [model.id for model in client.models.list()]\nanswer = client.chat.completions.create(model=models[0], messages=[{"role": "user", "content": "Hello!"}])\nprint(answer.choices[0].message.content)`;
at('claude').textContent = `ANTHROPIC_BASE_URL=${base} ANTHROPIC_AUTH_TOKEN=${quoted} claude --model MODEL`;

for (const button of document.querySelectorAll('[data-copy]')) button.addEventListener('click', async () => {
  const text = at(button.dataset.copy).textContent;
  const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  at('copied').textContent = done ? `Copied ${text}.` : `This browser does not let the page copy: ${text}`;
});

async function showStatus() {
  let response;
  try {
    response = await fetch(new URL('health/ready', ROOT));
  } catch {
    return say(at('status'), `The host at ${ROOT.host} does not answer any more: it is stopped or being restarted.`, 'bad');
  }
  const { status, degraded = [] } = await response.json();
  if (!status) return say(at('status'), 'The host is stopping: requests in flight are finished, and new requests are refused.', 'warn');
  if (!degraded.length) return say(at('status'), 'The host is ready, and all pipes run.', 'good');
  say(at('status'), '', 'warn');
  at('status').className = 'note warn';
  at('status').append(`The host is ready. In need of attention: ${degraded.join(', ')}. `, element('a', { href: new URL('admin/', ROOT).href }, 'Admin says why.'));
}

showStatus();
setInterval(() => { if (!document.hidden) showStatus(); }, 10000);
