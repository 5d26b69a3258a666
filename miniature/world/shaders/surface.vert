#version 330
in vec3 p; in vec3 n; in vec2 uv; in float ao;
uniform mat4 view_projection, shadow_matrix;
out vec3 P; out vec3 N; out vec2 U; out vec4 S; out float AO;
void main() {
  P = p; N = n; AO = ao;
  U = vec2(uv.x, 1. - uv.y);
  S = shadow_matrix * vec4(p, 1);
  gl_Position = view_projection * vec4(p, 1);
}
