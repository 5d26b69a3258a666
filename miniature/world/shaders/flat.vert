#version 330
in vec3 p; in vec2 uv;
uniform mat4 view_projection;
out vec2 U;
void main() { U = vec2(uv.x, 1. - uv.y); gl_Position = view_projection * vec4(p, 1); }
