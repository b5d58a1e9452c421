import Failures
import Foundation
import ImageFiles
import Testing

struct HostileFileTests {
    @Test func everyHostileFileIsRefusedInOneLine() throws {
        let names = try Fixtures.pictures(in: "Hostile")
        #expect(names.count > 15)
        for name in names {
            let path = Fixtures.path("Hostile/" + name)
            guard let thrown = failure(of: { _ = try DecodedImage.read(path) }) else {
                Issue.record("\(name) was read")
                continue
            }
            #expect(thrown.kind == .badData)
            #expect(thrown.message.hasPrefix(path + ": ") && !thrown.message.contains("\n"), "\(thrown.message)")
        }
    }

    @Test func aClaimOfTooManyPixelsIsNamed() throws {
        for (name, claim) in [("bomb-100000.png", "100000 x 100000"), ("bomb-65500.jpg", "65500 x 65500")] {
            let path = Fixtures.path("Hostile/" + name)
            #expect(
                failure { _ = try DecodedImage.read(path) }
                    == .badData("\(path): it claims \(claim) pixels, and a picture may have 100 megapixels"))
        }
    }

    /// The twin of `many-scans.jpg` with few scans is read: it is their number that is refused.
    @Test func fewScansAreFine() throws {
        #expect(try DecodedImage.read(Fixtures.path("three-scans.jpg")).width == 8)
        let path = Fixtures.path("Hostile/many-scans.jpg")
        #expect(failure { _ = try DecodedImage.read(path) }?.message.hasSuffix("more than 200 scans") == true)
    }

    /// 32 MB of compressed text are not unpacked; the picture itself is harmless.
    @Test func aBombOfTextIsDropped() throws {
        let decoded = try DecodedImage.read(Fixtures.path("text-bomb.png"))
        #expect(decoded.width == 2 && decoded.textChunks.isEmpty)
    }

    @Test func everyTruncationIsAnError() throws {
        for name in try Fixtures.pictures() where name != "text-bomb.png" {
            let whole = try Fixtures.bytes(name)
            for length in stride(from: 0, to: whole.count, by: 1 + whole.count / 150) + [whole.count - 1] {
                let thrown = failure { _ = try DecodedImage.decode(Array(whole.prefix(length)), path: name) }
                #expect(thrown?.kind == .badData, "\(name) cut to \(length) of \(whole.count) bytes")
            }
        }
    }

    /// A damaged file decodes or throws a `Failure`; anything else would end the test's process.
    @Test func damagedBytesNeverCrash() throws {
        var generator = SeededGenerator(state: 9)
        let limits = ImageLimits(pixels: 1_000_000, fileBytes: 1 << 20)
        var refused = 0
        for name in try Fixtures.pictures() where name != "text-bomb.png" {
            let whole = try Fixtures.bytes(name)
            for _ in 0..<100 {
                var damaged = whole
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    damaged[Int.random(in: 0..<whole.count, using: &generator)] = .random(
                        in: 0...255, using: &generator)
                }
                do {
                    _ = try DecodedImage.decode(damaged, path: name, limits: limits)
                } catch {
                    #expect(error is Failure)
                    refused += 1
                }
            }
        }
        #expect(refused > 2000)
    }
}
