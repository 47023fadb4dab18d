"""One static archive of a cc_library and everything of this repository that it depends on, one library being replaced by
another with the same functions."""

def _archives(library, without):
    archives = []
    for linker_input in library[CcInfo].linking_context.linker_inputs.to_list():
        if linker_input.owner == without:
            continue
        for item in linker_input.libraries:
            archive = item.pic_static_library or item.static_library
            if archive:
                archives.append(archive)
    return archives

def _static_bundle_impl(ctx):
    archives = _archives(ctx.attr.library, ctx.attr.replaced.label)
    for archive in _archives(ctx.attr.replacement, None):
        if archive not in archives:
            archives.append(archive)
    out = ctx.actions.declare_file(ctx.label.name)

    # ar takes archives apart only when told so in its scripting language.
    lines = ["CREATE " + out.path] + ["ADDLIB " + archive.path for archive in archives] + ["SAVE", "END", ""]
    script = ctx.actions.declare_file(ctx.label.name + ".mri")
    ctx.actions.write(script, "\n".join(lines))
    ctx.actions.run_shell(
        command = "/usr/bin/ar -M < " + script.path,
        inputs = archives + [script],
        outputs = [out],
        mnemonic = "StaticBundle",
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

static_bundle = rule(
    implementation = _static_bundle_impl,
    attrs = {
        "library": attr.label(mandatory = True, providers = [CcInfo]),
        "replaced": attr.label(mandatory = True, providers = [CcInfo]),
        "replacement": attr.label(mandatory = True, providers = [CcInfo]),
    },
)
