#version 330
// Depth (shadows) and the id picture (person, part): the same cuts as surface.frag.
in vec2 U;
uniform sampler2D base_map;
uniform float alpha_test;
uniform vec4 id;
layout(location = 0) out vec4 O;
//CUT
void main() {
  if (cut_away(U)) discard;
  if (alpha_test > .5 && texture(base_map, U).a < .4) discard;
  O = id;
}
