// Putting text on the clipboard, also where the page was not opened over HTTPS or localhost.

/** Whether it worked. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  document.body.append(area);
  area.select();
  try {
    // Deprecated, and the only way on a plain HTTP address.
    return document.execCommand('copy');
  } catch {
    return false;
  } finally {
    area.remove();
  }
}
