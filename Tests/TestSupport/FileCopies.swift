import Foundation

extension FileManager {
    /// Copies a file, or a folder of files, by its contents alone.
    ///
    /// `copyItem` copies owner and group too, which a user may not do whose fixtures belong to another group.
    public func copyContents(atPath source: String, toPath target: String) throws {
        var isFolder: ObjCBool = false
        guard fileExists(atPath: source, isDirectory: &isFolder), isFolder.boolValue else {
            return try Data(contentsOf: URL(fileURLWithPath: source)).write(to: URL(fileURLWithPath: target))
        }
        try createDirectory(atPath: target, withIntermediateDirectories: false)
        for name in try contentsOfDirectory(atPath: source) {
            try copyContents(atPath: "\(source)/\(name)", toPath: "\(target)/\(name)")
        }
    }
}
