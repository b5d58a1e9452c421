import Failures
import Foundation
import Glibc

/// The folder that has all outputs of a batch: nothing is written outside.
struct OutputFolder: Sendable {
    /// As the user named it.
    let path: String
    /// With all links followed.
    private let resolved: String

    /// - Parameter path: a folder, or one that can be made.
    /// - Throws: `Failure.inputOutput` when it is something else, or has no place.
    init(_ path: String) throws {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        self.path = String(trimmed)
        if let resolved = Self.resolve(self.path) {
            guard Self.isFolder(resolved) else {
                throw Failure.inputOutput("--output \(path): is a file; a batch wants a folder")
            }
            self.resolved = resolved
            return
        }
        let parent = Self.parent(of: self.path)
        guard let resolved = Self.resolve(parent), Self.isFolder(resolved), !self.path.isEmpty else {
            throw Failure.inputOutput("--output \(path): the folder \(parent) is not there; create it first")
        }
        self.resolved = "\(resolved == "/" ? "" : resolved)/\(self.path.split(separator: "/").last ?? "")"
    }

    /// Where an output of this name goes.
    ///
    /// - Parameter key: what the line calls it.
    /// - Throws: `Failure.badData` for a name that leads outside, or that no file can have.
    func place(_ name: String, key: String) throws -> String {
        func refuse(_ why: String) -> Failure {
            .badData(
                "\(key): expected the name of a file inside \(path), such as a.png or b/a.png, found \(quoted(name))"
                    + why)
        }
        let parts = name.split(separator: "/").filter { $0 != "." }
        guard let last = parts.last, !name.hasSuffix("/"), !name.hasSuffix("/."), !name.utf8.contains(0) else {
            throw refuse("")
        }
        guard !name.hasPrefix("/"), !parts.contains("..") else { throw refuse(", which leads outside") }
        // As much of the way as is there already: a link could lead outside, or make two names of one file.
        var status = stat()
        var folder = path
        for part in parts.dropLast() {
            folder += "/\(part)"
            guard lstat(folder, &status) == 0 else { break }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: continue
            case S_IFLNK: throw refuse(": \(folder) is a link")
            default: throw refuse(": \(folder) is a file")
            }
        }
        let file = ([path] + parts.dropLast().map(String.init) + [String(last)]).joined(separator: "/")
        let isForPreviews = key == "preview"
        if lstat(file, &status) == 0, status.st_mode & S_IFMT != (isForPreviews ? S_IFDIR : S_IFREG) {
            throw refuse(isForPreviews ? ": it is no folder, or a link to one" : ": it is a folder, a link or a device")
        }
        return file
    }

    /// How `place` names the file that `resolved`, a path with all links followed, leads to; nil outside of the folder.
    func output(at resolved: String) -> String? {
        guard resolved.hasPrefix("\(self.resolved)/") else { return nil }
        return path + resolved.dropFirst(self.resolved.count)
    }

    /// How `place` names the file that a path from the working directory leads to, whether it is there or will be; nil
    /// outside of the folder.
    func output(named name: String) -> String? {
        guard let last = name.split(separator: "/").last, !name.utf8.contains(0) else { return nil }
        if let parent = Self.resolve(Self.parent(of: name)) { return output(at: "\(parent)/\(last)") }
        // Of folders that are still to be made only the name is known.
        func parts(_ path: String) -> [Substring] { path.split(separator: "/").filter { $0 != "." } }
        let (own, other) = (parts(path), parts(name))
        guard name.hasPrefix("/") == path.hasPrefix("/"), other.starts(with: own), !other.contains("..") else {
            return nil
        }
        return ([path] + other.dropFirst(own.count).map(String.init)).joined(separator: "/")
    }

    /// Makes this folder and those below it that the files need, and finds out whether they can be written to.
    ///
    /// - Throws: `Failure.inputOutput`.
    func makeFolders(for files: some Sequence<String>) throws {
        for folder in Set(files.map(Self.parent) + [path]).sorted() {
            if !Self.isFolder(folder) {
                do {
                    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                } catch {
                    throw Failure.inputOutput("cannot make the folder \(folder): \(Self.reason(error))")
                }
            }
            try AtomicFile.checkWritable("\(folder)/result.png")
        }
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The path with all links followed; nil if nothing is there.
    static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func reason(_ error: any Error) -> String {
        let code = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        return code.map { String(cString: strerror(Int32($0.code))) } ?? "the system refuses"
    }
}
