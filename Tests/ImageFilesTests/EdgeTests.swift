import Foundation
import ImageFiles
import Testing

/// Canny's edges against OpenCV's, on pictures that scripts/fixtures/make_edge_fixtures.py draws in the same way.
@Suite struct EdgeTests {
    private struct Entry: Decodable {
        let width: Int
        let height: Int
        let kind: String
        let seed: UInt64
        let count: Int
        let hash: String

        init(from decoder: any Decoder) throws {
            var values = try decoder.unkeyedContainer()
            width = try values.decode(Int.self)
            height = try values.decode(Int.self)
            kind = try values.decode(String.self)
            seed = try values.decode(UInt64.self)
            count = try values.decode(Int.self)
            hash = try values.decode(String.self)
        }

        var picture: RGBImage {
            var numbers = Numbers(state: seed)
            var bytes = [UInt8](repeating: 0, count: 3 * width * height)
            if kind == "noise" {
                for index in bytes.indices { bytes[index] = UInt8(numbers.byte()) }
                return RGBImage(width: width, height: height, bytes: bytes)
            }
            if kind == "ramps" {
                let slopes = (0..<3).map { _ in (numbers.byte() % 16, numbers.byte() % 16, numbers.byte()) }
                for pixel in 0..<width * height {
                    for (channel, slope) in slopes.enumerated() {
                        let value = slope.0 * (pixel % width) + slope.1 * (pixel / width) + slope.2
                        bytes[3 * pixel + channel] = UInt8(value % 256)
                    }
                }
            }
            for _ in 0..<12 {
                let (left, top) = (numbers.byte() % width, numbers.byte() % height)
                let (right, bottom) = (left + numbers.byte() % width + 1, top + numbers.byte() % height + 1)
                let colour = (0..<3).map { _ in UInt8(numbers.byte()) }
                for y in top..<min(bottom, height) {
                    for x in left..<min(right, width) {
                        for channel in 0..<3 { bytes[3 * (y * width + x) + channel] = colour[channel] }
                    }
                }
            }
            return RGBImage(width: width, height: height, bytes: bytes)
        }
    }

    private struct Numbers {
        var state: UInt64

        mutating func byte() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 56)
        }
    }

    private func hash(_ bytes: [UInt8]) -> String {
        let hash = bytes.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    @Test func edgesAreThoseOfOpenCV() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/edges.json")
        let entries = try JSONDecoder().decode([Entry].self, from: Data(contentsOf: file))
        #expect(entries.count > 300)
        // Pictures without an edge would tell little.
        #expect(entries.count { $0.count > 0 } > entries.count / 2)
        for entry in entries {
            let edges = entry.picture.edges()
            #expect(edges.bytes.allSatisfy { $0 == 0 || $0 == 255 })
            #expect(
                hash(edges.bytes) == entry.hash,
                "\(entry.width)x\(entry.height) \(entry.kind) \(entry.seed), of \(entry.count) edge pixels")
        }
    }
}
