import Failures
import Foundation
import TensorKernels

/// A folder of its own for one test, and safetensors files made there byte by byte.
final class SafetensorsScratch {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "pilot-safetensors-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }

    func write(_ bytes: [UInt8], as name: String = "file.safetensors") throws -> String {
        try Data(bytes).write(to: folder.appending(path: name))
        return path(name)
    }

    /// Header length, header, data.
    static func bytes(header: String, data: [UInt8], length: UInt64? = nil) -> [UInt8] {
        let text = Array(header.utf8)
        let length = length ?? UInt64(text.count)
        return withUnsafeBytes(of: length.littleEndian, Array.init) + text + data
    }

    /// The failure of opening such a file, or nil if it opens.
    func failure(header: String, data: Int = 0, length: UInt64? = nil) throws -> Failure? {
        try failure(Self.bytes(header: header, data: [UInt8](repeating: 0, count: data), length: length))
    }

    func failure(_ bytes: [UInt8], as name: String = "file.safetensors") throws -> Failure? {
        let path = try write(bytes, as: name)
        do {
            _ = try SafetensorsFile(path: path)
            return nil
        } catch let failure as Failure {
            return failure
        }
    }
}
