"""One static archive of a cc_library and everything of this repository that it depends on."""

def _static_bundle_impl(ctx):
    archives = []
    for linker_input in ctx.attr.library[CcInfo].linking_context.linker_inputs.to_list():
        for library in linker_input.libraries:
            archive = library.pic_static_library or library.static_library
            if archive:
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
    attrs = {"library": attr.label(mandatory = True, providers = [CcInfo])},
)
