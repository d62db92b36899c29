#!/bin/sh
# Lint the chart, render it with each set of values in ci/, and check what comes out against Kubernetes' schemas.
#
# helm and kubeconform are built by Go, once, into the user's cache. Without Go the sentence below is all that happens.
# Kubernetes' schemas are those of the Python package kubernetes-validate; PYTHON names a Python that has it.
set -eu
cd "$(dirname "$0")"
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/kgt/tools
HELM=helm.sh/helm/v3/cmd/helm@v3.19.2
KUBECONFORM=github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
KUBERNETES=1.35.0

for source in "$HELM" "$KUBECONFORM"; do
  tool=$TOOLS/$(basename "${source%@*}")-${source##*@}
  [ -x "$tool" ] && continue
  command -v go >/dev/null || { echo "Go was not found: deploy/helm is not checked"; exit 0; }
  echo "building $source, once ..."
  mkdir -p "$TOOLS/building"
  GOBIN=$TOOLS/building go install "$source" || { echo "Go cannot get $source: deploy/helm is not checked"; exit 0; }
  mv "$TOOLS/building/$(basename "${source%@*}")" "$tool"
done
helm=$TOOLS/helm-${HELM##*@} kubeconform=$TOOLS/kubeconform-${KUBECONFORM##*@}

# Their names and references say that they are on a server: here they are files next to each other
schemas=$TOOLS/schemas-$KUBERNETES
if [ ! -d "$schemas" ]; then
  from=$("${PYTHON:-python3}" -c 'import kubernetes_validate as k, os; print(os.path.dirname(k.__file__))' 2>/dev/null || true)
  if [ -n "$from" ]; then
    rm -rf "$TOOLS/copying" && mkdir "$TOOLS/copying"
    for file in "$from/kubernetes-json-schema/v$KUBERNETES-local-strict"/*.json; do
      sed 's#"/api/_definitions.json#"_definitions.json#; s#"$id": #"$comment": #' "$file" > "$TOOLS/copying/${file##*/}"
    done
    mv "$TOOLS/copying" "$schemas"
  else
    echo "kubernetes-validate was not found: what the chart renders is not compared with Kubernetes' schemas"
  fi
fi

for values in kgt/values.yaml kgt/ci/*.yaml; do
  "$helm" lint --quiet --strict --kube-version "$KUBERNETES" kgt --values "$values"
  rendered=$("$helm" template --kube-version "$KUBERNETES" kgt kgt --values "$values")
  [ -d "$schemas" ] || continue
  echo "$rendered" | "$kubeconform" -strict -summary -kubernetes-version "$KUBERNETES" \
    -schema-location "$schemas/{{.ResourceKind}}{{.KindSuffix}}.json"
done
