import Foundation
import TensorKernels
import Testing

/// Draws made by torch (scripts/fixtures/make_method_fixtures.py): several from one generator, of several sizes.
private struct Draws: Decodable, Sendable, CustomTestStringConvertible {
    let seed: String
    let sizes: [Int]
    let count: Int
    let first: [UInt32]
    let digest: String

    var testDescription: String { "seed \(seed), \(sizes)" }

    static func load() throws -> [Draws] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/torch_randn.json")
        return try JSONDecoder().decode([Draws].self, from: Data(contentsOf: file))
    }
}

/// FNV-1a over 32-bit words.
private func digest(_ values: [Float]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for value in values { hash = (hash ^ UInt64(value.bitPattern)) &* 0x0000_0100_0000_01b3 }
    return String(repeating: "0", count: hash.leadingZeroBitCount / 4) + (hash == 0 ? "" : String(hash, radix: 16))
}

@Suite struct TorchGeneratorTests {
    @Test func normalNumbersAreTorchsBitForBit() throws {
        let cases = try Draws.load()
        #expect(cases.reduce(0) { $0 + $1.count } > 1_000_000)
        for draws in cases {
            var generator = TorchGenerator(seed: try #require(UInt64(draws.seed)))
            let values = draws.sizes.flatMap { generator.randn($0) }
            #expect(values.count == draws.count)
            #expect(values.prefix(draws.first.count).map(\.bitPattern) == draws.first, "\(draws.testDescription)")
            #expect(digest(values) == draws.digest, "\(draws.testDescription)")
        }
    }

    @Test func weightsFollowTheirSeedAndTheirKey() {
        func draw(_ seed: UInt64, _ key: String) -> [Float] {
            var generator = WeightGenerator(seed: seed, stream: key)
            return (0..<4096).map { _ in generator.uniform(bound: 2) }
        }
        let values = draw(1, "conv_in.weight")
        #expect(values == draw(1, "conv_in.weight"))
        #expect(values != draw(2, "conv_in.weight"))
        #expect(values != draw(1, "conv_in.bias"))
        #expect(values.allSatisfy { (-2..<2).contains($0) })
        // 4096 draws of variance 4/3: the mean's standard deviation is 0.018, that of the mean square 0.019.
        #expect(abs(values.reduce(0, +) / 4096) < 0.09)
        #expect(abs(values.reduce(0) { $0 + $1 * $1 } / 4096 - 4 / 3) < 0.1)
    }
}
