/// A program's commands and options, as ArgumentParser describes them in JSON.
struct ToolDescription: Decodable {
    let command: Command

    struct Command: Decodable {
        let commandName: String
        let superCommands: [String]?
        let abstract: String?
        let discussion: String?
        let arguments: [Argument]?
        let subcommands: [Command]?

        /// `pilot model init`
        var path: String { ((superCommands ?? []) + [commandName]).joined(separator: " ") }
    }

    struct Argument: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String

            var spelling: String { (kind == "long" ? "--" : "-") + name }
        }

        let kind: String
        let shouldDisplay: Bool
        let sectionTitle: String?
        let names: [Name]?
        let valueName: String?
        let defaultValue: String?
        let allValues: [String]?
        let abstract: String?
    }
}

/// The manual page of a program, in the language of man(7).
struct ManualPage {
    private let program: ToolDescription.Command
    private let version: String

    init(_ program: ToolDescription.Command, version: String) {
        self.program = program
        self.version = version
    }

    var text: String {
        var lines = [
            ".TH \(program.commandName.uppercased()) 1 \"\" \"pilot\\-mpi \(escaped(version))\"", ".SH NAME",
            escaped("\(program.commandName) - \(program.abstract ?? "")"), ".SH SYNOPSIS",
        ]
        for command in commands { lines += [".B \(escaped(command.path))", synopsis(command), ".br"] }
        for command in commands { lines += section(command) }
        return (lines + [".SH SEE ALSO", ".BR mpirun (1)"]).joined(separator: "\n")
    }

    /// Those that do something, in their order; help is not worth a section.
    private var commands: [ToolDescription.Command] { leaves(of: program).filter { $0.commandName != "help" } }

    private func leaves(of command: ToolDescription.Command) -> [ToolDescription.Command] {
        guard let subcommands = command.subcommands, !subcommands.isEmpty else { return [command] }
        return subcommands.flatMap(leaves)
    }

    private func arguments(of command: ToolDescription.Command) -> [ToolDescription.Argument] {
        (command.arguments ?? []).filter(\.shouldDisplay)
    }

    private func synopsis(_ command: ToolDescription.Command) -> String {
        let words = arguments(of: command).filter { $0.kind == "positional" }.map { "<\($0.valueName ?? "")>" }
        return escaped((["[options]"] + words).joined(separator: " "))
    }

    private func section(_ command: ToolDescription.Command) -> [String] {
        var lines = [".SH \"\(escaped(command.path.uppercased()))\"", escaped(command.abstract ?? "")]
        if let discussion = command.discussion { lines += [".PP"] + paragraphs(discussion) }
        var title: String?
        for argument in arguments(of: command) {
            if argument.sectionTitle != title {
                title = argument.sectionTitle
                lines.append(".SS \"\(escaped(title ?? "Options"))\"")
            }
            lines += entry(argument)
        }
        return lines
    }

    private func entry(_ argument: ToolDescription.Argument) -> [String] {
        let value = argument.valueName.map { " <\($0)>" } ?? ""
        let names = (argument.names ?? []).map(\.spelling)
        let head =
            names.isEmpty
            ? "<\(argument.valueName ?? "")>"
            : names.joined(separator: ", ")
                + (argument.kind == "option" ? value : "")
        let notes = [
            argument.defaultValue.map { "default: \($0)" },
            argument.allValues.map { "values: \($0.joined(separator: ", "))" },
        ].compactMap { $0 }
        let text = [argument.abstract ?? ""] + (notes.isEmpty ? [] : ["(\(notes.joined(separator: "; ")))"])
        return [".TP", ".B \(escaped(head))", escaped(text.joined(separator: " "))]
    }

    /// Lines that begin with two spaces are examples, and stay as they are.
    private func paragraphs(_ text: String) -> [String] {
        var lines: [String] = []
        var isExample = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("  ") != isExample {
                isExample.toggle()
                lines += isExample ? [".RS 4", ".nf"] : [".fi", ".RE"]
            }
            lines.append(line.isEmpty ? ".PP" : escaped(isExample ? String(line.dropFirst(2)) : String(line)))
        }
        return isExample ? lines + [".fi", ".RE"] : lines
    }

    /// Text that troff takes for nothing else.
    private func escaped(_ text: String) -> String {
        let plain = text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("\"", with: "\\(dq")
        return plain.hasPrefix(".") || plain.hasPrefix("'") ? "\\&\(plain)" : plain
    }
}
