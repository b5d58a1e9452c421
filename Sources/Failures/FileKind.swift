import Glibc

/// What a path leads to, with links followed.
public enum FileKind: Sendable {
    case regular, folder, pipe, socket, characterDevice, blockDevice

    public init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFDIR: self = .folder
        case S_IFIFO: self = .pipe
        case S_IFSOCK: self = .socket
        case S_IFCHR: self = .characterDevice
        case S_IFBLK: self = .blockDevice
        default: self = .regular
        }
    }

    /// Nil if nothing is there.
    public init?(at path: String) {
        var status = stat()
        // The system would take what stands before a zero for the path.
        guard !path.utf8.contains(0), stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// In words that fit after "it is".
    public var name: String {
        switch self {
        case .regular: "a file"
        case .folder: "a folder"
        case .pipe: "a pipe"
        case .socket: "a socket"
        case .characterDevice, .blockDevice: "a device"
        }
    }
}
