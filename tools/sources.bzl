"""The source files of targets and of everything of this repository that they depend on."""

_Sources = provider(fields = {"files": "depset of source files"})

def _collect_impl(target, ctx):
    direct = []
    for name in ["srcs", "hdrs", "textual_hdrs"]:
        direct += [file for file in getattr(ctx.rule.files, name, []) if file.is_source and not file.owner.workspace_name]
    return [_Sources(files = depset(
        direct,
        transitive = [dependency[_Sources].files for dependency in getattr(ctx.rule.attr, "deps", []) if _Sources in dependency],
    ))]

_collect = aspect(
    implementation = _collect_impl,
    attr_aspects = ["deps"],
)

def _sources_impl(ctx):
    files = depset(transitive = [target[_Sources].files for target in ctx.attr.targets])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

sources = rule(
    implementation = _sources_impl,
    attrs = {"targets": attr.label_list(
        aspects = [_collect],
        mandatory = True,
    )},
)
