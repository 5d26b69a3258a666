import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// Two builds of the same sources are the same bytes; the server marks what is under assets/ as unchanging.
export default defineConfig({
  base: '/',
  plugins: [
    svelte({
      compilerOptions: { runes: true },
      onwarn(warning) {
        throw new Error(`${warning.filename}: ${warning.message}`);
      },
    }),
  ],
  build: {
    outDir: '../src/identitystory/studio/static',
    emptyOutDir: true,
    target: 'es2022',
    cssCodeSplit: false,
    modulePreload: false,
    assetsInlineLimit: 0,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8765' } },
});
