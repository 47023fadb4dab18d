"""A header of C++ system headers that is compiled once for each configuration, for the many files that begin with it."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

# gcc takes NAME.gch beside NAME if it was compiled with flags like its own, and NAME otherwise: a difference costs time,
# nothing else. clang compares times of files, so there NAME is all there is.
def _precompiled_header_impl(ctx):
    header = ctx.actions.declare_file(ctx.attr.header)
    ctx.actions.write(header, "".join(["#include <%s>\n" % include for include in ctx.attr.system_headers]))
    headers = [header]

    toolchain = find_cpp_toolchain(ctx)
    if toolchain.compiler != "clang":
        features = cc_common.configure_features(
            ctx = ctx,
            cc_toolchain = toolchain,
            requested_features = ctx.features,
            unsupported_features = ctx.disabled_features,
        )
        options = ctx.fragments.cpp
        precompiled = ctx.actions.declare_file(ctx.attr.header + ".gch")
        variables = cc_common.create_compile_variables(
            feature_configuration = features,
            cc_toolchain = toolchain,
            source_file = header.path,
            output_file = precompiled.path,
            user_compile_flags = options.copts + options.cxxopts + ctx.attr.copts + ["-xc++-header"],
            use_pic = ctx.var["COMPILATION_MODE"] != "opt",
        )
        ctx.actions.run(
            executable = cc_common.get_tool_for_action(
                feature_configuration = features,
                action_name = ACTION_NAMES.cpp_compile,
            ),
            arguments = cc_common.get_memory_inefficient_command_line(
                feature_configuration = features,
                action_name = ACTION_NAMES.cpp_compile,
                variables = variables,
            ),
            env = cc_common.get_environment_variables(
                feature_configuration = features,
                action_name = ACTION_NAMES.cpp_compile,
                variables = variables,
            ),
            inputs = depset([header], transitive = [toolchain.all_files]),
            outputs = [precompiled],
            mnemonic = "CppPrecompile",
            progress_message = "Precompiling " + header.short_path,
        )
        headers.append(precompiled)

    return [
        DefaultInfo(files = depset(headers)),
        CcInfo(compilation_context = cc_common.create_compilation_context(headers = depset(headers))),
    ]

precompiled_header = rule(
    implementation = _precompiled_header_impl,
    attrs = {
        "header": attr.string(mandatory = True, doc = "the name of the file that is made"),
        "system_headers": attr.string_list(mandatory = True),
        "copts": attr.string_list(doc = "what --per_file_copt adds for the files that include it"),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
    incompatible_use_toolchain_transition = True,
)
