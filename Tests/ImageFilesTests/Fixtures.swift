import Foundation
import ImageFiles

/// The files that `scripts/fixtures/make_image_fixtures.py` wrote.
enum Fixtures {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    static func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// Names of the pictures in a subfolder, sorted.
    static func pictures(in subfolder: String = "") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(subfolder).path)
            .filter { $0.hasSuffix(".png") || $0.hasSuffix(".jpg") }.sorted()
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from name: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// What Pillow's `convert("RGB")` and `convert("L")` give for a file.
    struct Readable: Decodable {
        let file: String
        let width: Int
        let height: Int
        let rgb: Data
        let grey: Data
    }

    /// What Pillow's `resize` gives for `resize-source.png`.
    struct Resized: Decodable {
        let filter: String
        let width: Int
        let height: Int
        let rgb: Data
        let grey: Data
    }
}

/// The repeatable numbers of a linear congruential generator (Knuth's MMIX constants).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}
