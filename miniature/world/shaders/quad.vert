#version 330
in vec2 p;
out vec2 q;
uniform float depth;
void main() { q = p; gl_Position = vec4(p, depth, 1); }
