/** How a contact sheet is laid out: portraits in rows of eight. */
export const columns = (of: number) => Math.max(1, Math.min(8, of));
export const shape = (of: number) => `${columns(of)} / ${Math.ceil(of / columns(of))}`;
