import Failures
import Foundation
import ImageFiles
import Testing

/// What a file says of its colours, and what becomes of it.
struct ColourTests {
    private func read(_ name: String) throws -> DecodedImage { try DecodedImage.read(Fixtures.path("Colour/" + name)) }

    /// What Little CMS made of `wide.png` through Pillow.
    private struct Converted: Decodable {
        let profile: Data
        let sRGB: Data
        let fromSRGB: Data
    }

    private func converted() throws -> Converted { try Fixtures.decode(Converted.self, from: "Colour/wide.json") }

    private func profile(of picture: DecodedImage) -> Data? {
        if case .profile(let profile) = picture.metadata.colours { Data(profile.bytes) } else { nil }
    }

    private func difference(_ bytes: [UInt8], _ expected: [UInt8]) -> Int {
        zip(bytes, expected).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }

    /// Of one profile in a PNG file and in three segments, out of order, of a JPEG file.
    @Test(arguments: ["wide.png", "wide.jpg"])
    func profilesAreReadAndWritten(name: String) throws {
        let picture = try read(name)
        let expected = try converted()
        #expect(profile(of: picture) == expected.profile)
        #expect(picture.photographWarnings.isEmpty && picture.warnings.isEmpty)
        #expect(picture.colours.warning(about: name) == nil)
        try withTemporaryFolder { folder in
            try picture.rgb.writePNG(to: folder + "/a.png", metadata: picture.metadata)
            let again = try DecodedImage.read(folder + "/a.png")
            #expect(again.rgb == picture.rgb)
            #expect(again.metadata == picture.metadata)
            #expect(profile(of: again) == expected.profile)
        }
    }

    /// Another version of Little CMS may round otherwise.
    @Test func coloursAreConvertedAsByPillow() throws {
        let picture = try read("wide.png")
        let expected = try converted()
        let there = picture.colours.toSRGB(picture.rgb)
        #expect(difference(there.bytes, Array(expected.sRGB)) <= 1)
        #expect(difference(picture.colours.fromSRGB(picture.rgb).bytes, Array(expected.fromSRGB)) <= 1)
        #expect(difference(there.bytes, picture.rgb.bytes) > 20)
    }

    @Test(arguments: ["plain.png", "srgb.png", "srgb-chunk.png", "gamma-2.2.png"])
    func whatIsSRGBStaysAsItIs(name: String) throws {
        let picture = try read(name)
        #expect(picture.photographWarnings.isEmpty && picture.colours.warning(about: name) == nil)
        #expect(picture.colours.toSRGB(picture.rgb) == picture.rgb)
        #expect(picture.colours.fromSRGB(picture.rgb) == picture.rgb)
        #expect((picture.metadata.colours == .unsaid) == (name == "plain.png"))
        try withTemporaryFolder { folder in
            try picture.rgb.writePNG(to: folder + "/a.png", metadata: picture.metadata)
            #expect(try DecodedImage.read(folder + "/a.png").metadata == picture.metadata)
        }
    }

    /// v^1.8 of the light, to sRGB's curve (IEC 61966-2-1).
    @Test func gammaAloneIsConverted() throws {
        let picture = try read("gamma-1.8.png")
        let expected = picture.rgb.bytes.map { value -> UInt8 in
            let light = pow(Double(value) / 255, 100_000 / 55_556)
            let encoded = light <= 0.003_130_8 ? 12.92 * light : 1.055 * pow(light, 1 / 2.4) - 0.055
            return UInt8((255 * encoded).rounded())
        }
        #expect(difference(picture.colours.toSRGB(picture.rgb).bytes, expected) <= 1)
        #expect(difference(expected, picture.rgb.bytes) > 5)
    }

    @Test(arguments: [
        ("damaged.png", "is damaged"), ("missing-part.jpg", "is damaged"),
        ("grey.png", "is for grey pictures, and results are RGB"),
        ("grey.jpg", "is for grey pictures, and results are RGB"),
    ])
    func whatCannotBeKeptIsSaid(name: String, reason: String) throws {
        let picture = try read(name)
        let path = Fixtures.path("Colour/" + name)
        #expect(picture.photographWarnings == ["\(path): its colour profile is left out: it \(reason)"])
        #expect(picture.metadata.colours == .unsaid)
        #expect(picture.colours.toSRGB(picture.rgb) == picture.rgb)
    }

    /// A scanner's profile may know the way to other spaces alone.
    @Test(arguments: ["one-way.png", "one-way.jpg"])
    func whatCannotBeConvertedIsSaidAndKept(name: String) throws {
        let picture = try read(name)
        #expect(profile(of: picture) != nil)
        #expect(try #require(picture.colours.warning(about: "a")).hasPrefix("a: its colour profile is kept, but can't"))
        #expect(picture.colours.toSRGB(picture.rgb) == picture.rgb)
    }

    @Test func aProfileMayBeFilledUp() throws {
        let jpeg = try Fixtures.bytes("ycbcr-444-baseline.jpg")
        let profile = Array(try converted().profile) + [0, 0, 0]
        let segment = Array("ICC_PROFILE\0".utf8) + [1, 1] + profile
        let length = segment.count + 2
        let marked = [0xFF, 0xE2, UInt8(length >> 8), UInt8(length & 255)] + segment
        let picture = try DecodedImage.decode(Array(jpeg[..<2]) + marked + jpeg[2...], path: "a.jpg")
        #expect(self.profile(of: picture) == Data(profile.dropLast(3)))
        #expect(picture.photographWarnings.isEmpty)
    }

    @Test func lossesAreSaidOnce() throws {
        for (name, words) in [
            ("cmyk.jpg", "has CMYK colours"), ("ycck.jpg", "has CMYK colours"),
        ] {
            let warnings = try DecodedImage.read(Fixtures.path(name)).photographWarnings
            #expect(warnings.count { $0.contains(words) } == 1, "\(name): \(warnings)")
        }
        for name in ["rgb-8.png", "rgb-16.png", "grey-4.png", "ycbcr-420-baseline.jpg", "grey.jpg"] {
            #expect(try DecodedImage.read(Fixtures.path(name)).photographWarnings.isEmpty, "\(name)")
        }
    }

    /// Neither a damaged profile nor damaged EXIF data ends the program or keeps a result from being written.
    @Test(arguments: ["wide.jpg", "one-way.jpg", "exif-density.jpg"])
    func damageBesideThePixelsNeverCrashes(name: String) throws {
        var generator = SeededGenerator(state: 17)
        let whole = try Fixtures.bytes("Colour/" + name)
        // All before the tables of the picture itself.
        let end = try #require(whole.indices.first { whole[$0...].starts(with: [0xFF, 0xDB]) })
        var converted = 0
        try withTemporaryFolder { folder in
            for round in 0..<60 {
                var damaged = whole
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    damaged[Int.random(in: 20..<end, using: &generator)] = .random(in: 0...255, using: &generator)
                }
                guard let picture = try? DecodedImage.decode(damaged, path: name) else { continue }
                _ = picture.colours.fromSRGB(picture.colours.toSRGB(picture.rgb))
                if round % 5 == 0 {
                    try picture.rgb.writePNG(to: folder + "/a.png", metadata: picture.metadata)
                    #expect(try DecodedImage.read(folder + "/a.png").metadata == picture.metadata)
                }
                converted += 1
            }
        }
        #expect(converted > 20)
    }
}
