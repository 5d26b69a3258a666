/** Colours for a story file: tables, keys, comments, and names in braces; not a parser. */
export type Part = ['table' | 'key' | 'note' | 'name' | 'plain', string];

function names(text: string): Part[] {
  return text
    .split(/(\{[^{}="]*\})/)
    .filter(Boolean)
    .map((piece) => [piece.startsWith('{') && piece.endsWith('}') ? 'name' : 'plain', piece]);
}

export function coloured(text: string): Part[][] {
  return text.split('\n').map((line) => {
    if (/^\s*\[/.test(line)) return [['table', line]];
    if (/^\s*#/.test(line)) return [['note', line]];
    const key = /^(\s*[\w-]+\s*=)(.*)$/.exec(line);
    return key ? [['key', key[1] ?? ''], ...names(key[2] ?? '')] : names(line);
  });
}
