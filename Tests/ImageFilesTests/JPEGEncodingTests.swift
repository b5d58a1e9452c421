import Failures
import Foundation
import ImageFiles
import Testing

/// JPEG files of ours: what is in them comes back.
struct JPEGEncodingTests {
    private func smooth(width: Int, height: Int) -> RGBImage {
        var bytes: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width { bytes += [UInt8(2 * x), UInt8(3 * y), UInt8(x + y)] }
        }
        return RGBImage(width: width, height: height, bytes: bytes)
    }

    private func file(
        _ picture: RGBImage, quality: Int = 95, _ metadata: PictureMetadata = PictureMetadata(),
        _ texts: [TextChunk] = []
    ) throws -> [UInt8] {
        try picture.withJPEG(quality: quality, of: metadata, texts) { [UInt8]($0) }
    }

    @Test func pixelsComeBackNearly() throws {
        let picture = smooth(width: 83, height: 41)
        var sizes: [Int] = []
        for (quality, most) in [(100, 3), (95, 8), (30, 60)] {
            let bytes = try file(picture, quality: quality)
            let decoded = try DecodedImage.decode(bytes, path: "a.jpg")
            #expect(decoded.width == 83 && decoded.height == 41)
            let worst = zip(decoded.rgb.bytes, picture.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 0
            #expect(worst <= most, "\(worst) at quality \(quality)")
            #expect(try file(picture, quality: quality) == bytes)
            sizes.append(bytes.count)
            // The frame: three components, none of which is subsampled.
            let frame = try #require(bytes.indices.first { bytes[$0...].starts(with: [0xFF, 0xC0]) })
            #expect(bytes[frame + 9] == 3)
            #expect([11, 14, 17].allSatisfy { bytes[frame + $0] == 0x11 })
        }
        #expect(sizes == sizes.sorted(by: >))
    }

    @Test(arguments: ["wide.jpg", "exif-density.jpg", "srgb.png", "plain.png"])
    func metadataComesBack(name: String) throws {
        let source = try DecodedImage.read(Fixtures.path("Colour/" + name))
        #expect(source.metadata.lossesAsJPEG.isEmpty)
        let copy = try DecodedImage.decode(file(source.rgb, source.metadata), path: "a.jpg")
        #expect(copy.metadata == source.metadata)
    }

    @Test func whatDoesNotFitIsSaid() throws {
        let numbers = try DecodedImage.read(Fixtures.path("Colour/gamma-1.8.png")).metadata
        #expect(numbers.lossesAsJPEG.count == 1 && numbers.lossesAsJPEG[0].contains("gamma"))
        #expect(try DecodedImage.read(Fixtures.path("Colour/gamma-2.2.png")).metadata.lossesAsJPEG.isEmpty)
        var large = PictureMetadata()
        large.exif = [UInt8](repeating: 1, count: 65_528)
        #expect(large.lossesAsJPEG == ["has no room for the EXIF data, 65528 bytes"])
        let copy = try DecodedImage.decode(file(smooth(width: 3, height: 3), large), path: "a.jpg")
        #expect(copy.metadata == PictureMetadata())
    }

    @Test func textsComeBack() throws {
        let texts = [
            TextChunk(keyword: "parameters", text: "a café 🎨\nSteps: 3: 1/2: x"), TextChunk(keyword: "empty", text: ""),
            TextChunk(keyword: "pilot", text: String(repeating: #"{"q":"東京"}"#, count: 20_000)),
        ]
        let bytes = try file(smooth(width: 5, height: 5), PictureMetadata(), texts)
        #expect(try DecodedImage.decode(bytes, path: "a.jpg").textChunks == texts)
        #expect(Data(bytes).range(of: Data("parameters 1/1: a café".utf8)) != nil)
    }

    /// A file with these comments.
    private func texts(_ comments: [String]) throws -> [TextChunk] {
        let jpeg = try Fixtures.bytes("ycbcr-444-baseline.jpg")
        let segments = comments.flatMap { comment -> [UInt8] in
            let length = comment.utf8.count + 2
            let head: [UInt8] = [0xFF, 0xFE, UInt8(length >> 8), UInt8(length & 255)]
            return head + Array(comment.utf8)
        }
        let file: [UInt8] = Array(jpeg[..<2]) + segments + Array(jpeg[2...])
        return try DecodedImage.decode(file, path: "a.jpg").textChunks
    }

    @Test func otherCommentsAreNoTexts() throws {
        let others = [
            "", "CREATOR: gd-jpeg v1.0", "a", "a 1/1", "a 1/1:b", "a 0/1: b", "a 2/1: b", "a 1/256: b", "a 1/-1: b",
            "a 1/99999999999999999999: b", "a  1/1: b", " 1/1: b", "a b 1/1: c", "a 1/1/1: b", "é 1/1: b",
            String(repeating: "a", count: 80) + " 1/1: b", ": ", " : ", "1/1: ",
        ]
        #expect(try texts(others).isEmpty)
        #expect(try texts(others + ["a 1/1: b"]) == [TextChunk(keyword: "a", text: "b")])
    }

    @Test func partsThatDoNotFitAreNoText() throws {
        #expect(try texts(["a 2/2: c", "a 1/2: b"]) == [TextChunk(keyword: "a", text: "bc")])
        for parts in [
            ["a 1/2: b"], ["a 1/2: b", "a 1/2: b"], ["a 1/2: b", "a 2/3: b"], ["a 1/1: b", "a 1/1: b"],
            ["a 1/2: b", "a 2/2: c", "a 2/2: c"],
        ] {
            #expect(try texts(parts + ["b 1/1: d"]) == [TextChunk(keyword: "b", text: "d")], "\(parts)")
        }
    }
}
