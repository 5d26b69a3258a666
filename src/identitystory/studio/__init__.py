"""The door for the browser: a library of stories, a queue, a page, and the API between them."""
