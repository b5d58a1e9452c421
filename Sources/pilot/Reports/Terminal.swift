import Foundation
import Glibc

/// The terminal on which somebody sees standard error.
struct Terminal: Sendable {
    /// A path that opens it.
    private let path: String

    /// Standard error's own terminal, or that of the mpirun which reads standard error here and writes it there.
    static func find() -> Terminal? {
        if isatty(STDERR_FILENO) == 1 { return Terminal(path: "/proc/self/fd/\(STDERR_FILENO)") }
        return ofLauncher()
    }

    /// How many characters a line has; 80 where the terminal does not say.
    var width: Int {
        let file = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return Self.usualWidth }
        defer { close(file) }
        var size = winsize()
        guard ioctl(file, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return Self.usualWidth }
        return Int(size.ws_col)
    }

    static let usualWidth = 80

    // MARK: Under mpirun

    private static let launchers: Set<String> = ["mpirun", "mpiexec", "orterun", "prterun"]
    /// Options of mpirun that put something before each line.
    private static let tags: Set<String> = ["tag-output", "timestamp-output", "xml", "output"]
    private static let mostAncestors = 8

    /// The launcher is the ancestor that holds the other end of standard error's pipe: nobody else's redirection
    /// comes between. Ranks on other machines have none, and write lines.
    private static func ofLauncher() -> Terminal? {
        guard let pipe = link("/proc/self/fd/\(STDERR_FILENO)"), pipe.hasPrefix("pipe:") else { return nil }
        var process = getppid()
        for _ in 0..<mostAncestors where process > 1 {
            if launchers.contains(name(of: process)) {
                let errors = "/proc/\(process)/fd/\(STDERR_FILENO)"
                let isTerminal =
                    link(errors)?.hasPrefix("/dev/pts/") == true || link(errors)?.hasPrefix("/dev/tty") == true
                return isTerminal && holds(process, pipe) && !isTagging(process) ? Terminal(path: errors) : nil
            }
            process = parent(of: process)
        }
        return nil
    }

    private static func holds(_ process: pid_t, _ pipe: String) -> Bool {
        let folder = "/proc/\(process)/fd"
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.contains { link("\(folder)/\($0)") == pipe }
    }

    private static func isTagging(_ process: pid_t) -> Bool {
        let own = CommandLine.arguments.first
        return contents("/proc/\(process)/cmdline").split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            .prefix { $0 != own }.contains { argument in tags.contains(String(argument.drop { $0 == "-" })) }
    }

    private static func name(of process: pid_t) -> String {
        String(decoding: contents("/proc/\(process)/comm"), as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    private static func parent(of process: pid_t) -> pid_t {
        let lines = String(decoding: contents("/proc/\(process)/status"), as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.hasPrefix("PPid:") }
        return line?.split(separator: "\t").last.flatMap { pid_t($0) } ?? 0
    }

    private static func link(_ path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    private static func contents(_ path: String) -> [UInt8] {
        (try? Data(contentsOf: URL(fileURLWithPath: path))).map { [UInt8]($0) } ?? []
    }
}
