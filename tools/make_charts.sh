#!/usr/bin/env bash
# Makes src/esrface/report/assets/charts.min.js: the parts of Apache ECharts that reports need, in one file.
#
#     bash tools/make_charts.sh
#
# Needs Node.js and npm. The file is committed, so nobody who installs or runs esrface needs this.
set -euo pipefail
cd "$(dirname "$0")/.."
assets="$PWD/src/esrface/report/assets"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm init -y > /dev/null
npm install --silent --ignore-scripts echarts@6.1.0 zrender@6.1.0 tslib@2.3.0 esbuild@0.28.2

cat > charts.js <<'JS'
import { init, use } from "echarts/core";
import { BarChart, CustomChart, LineChart, ScatterChart } from "echarts/charts";
import {
  AxisPointerComponent, DataZoomComponent, GridComponent, MarkAreaComponent, TooltipComponent,
} from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([
  BarChart, CustomChart, LineChart, ScatterChart, AxisPointerComponent, DataZoomComponent,
  GridComponent, MarkAreaComponent, TooltipComponent, CanvasRenderer,
]);
export { init };
JS
npx esbuild charts.js --bundle --minify --format=iife --global-name=charts --target=es2019 --charset=ascii \
  --legal-comments=none --define:process.env.NODE_ENV='"production"' --outfile=bundle.js --log-level=warning

{
  echo "/*! Apache ECharts 6.1.0 (Apache-2.0) with zrender 6.1.0 (BSD-3-Clause) and tslib 2.3.0 (0BSD), only what"
  echo "reports use; see charts.LICENSE.txt. Made by tools/make_charts.sh. */"
  cat bundle.js
} > "$assets/charts.min.js"
{
  echo "charts.min.js contains parts of the following works."
  for package in echarts zrender tslib; do
    printf '\n==== %s %s ====\n\n' "$package" "$(node -p "require('./node_modules/$package/package.json').version")"
    cat "node_modules/$package/"LICENSE*
    cat "node_modules/$package/"NOTICE* 2> /dev/null || true
  done
  printf '\n==== d3, parts in echarts ====\n\n'
  cat node_modules/echarts/licenses/LICENSE-d3
} > "$assets/charts.LICENSE.txt"
ls -l "$assets"
