#include "slow.h"

#include <algorithm>
#include <functional>

namespace slow
{

static const Owner PLAIN = {Kind::plain, {}};

/* ---- The policy --------------------------------------------------------------- */

using Group = std::set<Path, PathOrder>;

static bool
leads_to(const Path &outer, const Path &inner)
{
	return outer.size() <= inner.size() && std::equal(outer.begin(), outer.end(), inner.begin());
}

/* Groups with pointers that touch are one. */
static std::vector<Group>
joined(const std::vector<Group> &groups, bool (*touching)(const Path &, const Path &))
{
	std::vector<Group> result;

	for (Group group : groups)
	{
		std::vector<Group> apart;

		for (auto &other : result)
		{
			bool touches = false;

			for (auto &mine : group)
				for (auto &its : other)
					touches = touches || touching(mine, its);
			if (touches)
				group.insert(other.begin(), other.end());
			else
				apart.push_back(other);
		}
		apart.push_back(group);
		result = apart;
	}
	return result;
}

static Path
pointer_in(const Value &value, bool may_be_empty)
{
	if (value.type != Type::string)
		throw Refused{"= refused: not a pointer"};
	auto path = parse_pointer(value.string);
	if (!path)
		throw Refused{"= refused: a string that is no pointer"};
	if (path->empty() && !may_be_empty)
		throw Refused{"= refused: the empty pointer"};
	return *path;
}

static std::vector<Path>
pointers_in(const Value &value, bool may_be_empty)
{
	std::vector<Path> paths;

	if (value.type != Type::array)
		throw Refused{"= refused: not an array"};
	for (auto &element : value.elements)
		paths.push_back(pointer_in(element, may_be_empty));
	return paths;
}

Policy::Policy(const Value *policy)
{
	std::vector<Path> ignore, latest;
	std::vector<Group> groups_given;
	bool by_property = false;

	if (policy && policy->type != Type::object)
		throw Refused{"= refused: not an object"};
	const Value by_default(Type::object);
	for (auto &[key, value] : (policy ? policy : &by_default)->members)
	{
		if (key == "granularity")
		{
			by_property = value.type == Type::string && value.string == "property";
			if (!by_property && (value.type != Type::string || value.string != "entity"))
				throw Refused{"= refused: granularity"};
		}
		else if (key == "ignore")
			ignore = pointers_in(value, false);
		else if (key == "latest")
			latest = pointers_in(value, true);
		else if (key == "references")
			references = pointers_in(value, false);
		else if (key == "tolerance")
		{
			tolerance = value.number;
			if (value.type != Type::number || tolerance.digits < 0)
				throw Refused{"= refused: tolerance"};
		}
		else if (key == "groups")
		{
			if (value.type != Type::array)
				throw Refused{"= refused: not an array"};
			for (auto &element : value.elements)
			{
				auto paths = pointers_in(element, true);

				groups_given.emplace_back(paths.begin(), paths.end());
			}
		}
		else
			throw Refused{"= refused: unknown key"};
	}
	if (!by_property)
		groups_given.push_back({{}});

	/*
	 * What is ignored is so with all that is in it; what is `latest` with all but
	 * what is ignored; a group's value is what is left.
	 */
	auto covered = [this](const Path &path, std::set<Kind> kinds) {
		for (auto &[marked, owner] : marks)
			if (kinds.count(owner->kind) && leads_to(marked, path))
				return true;
		return false;
	};
	auto mark = [&](std::vector<Path> paths, Kind kind, std::set<Kind> within) {
		std::sort(paths.begin(), paths.end(), [](auto &a, auto &b) { return a.size() < b.size(); });
		for (auto &path : paths)
			if (!covered(path, within))
			{
				owners.push_back({kind, {path}});
				marks[path] = &owners.back();
			}
	};
	mark(ignore, Kind::ignore, {Kind::ignore});
	mark(latest, Kind::latest, {Kind::ignore, Kind::latest});

	/* A shared pointer joins groups even where its value belongs to neither. */
	groups_given = joined(groups_given, [](const Path &a, const Path &b) { return a == b; });
	for (auto &group : groups_given)
		for (auto path = group.begin(); path != group.end();)
			path = covered(*path, {Kind::ignore, Kind::latest}) ? group.erase(path) : std::next(path);
	for (auto &group : joined(groups_given, [](const Path &a, const Path &b) {
			 return leads_to(a, b) || leads_to(b, a); }))
	{
		if (group.empty())
			continue;
		owners.push_back({Kind::group, {}});
		groups.push_back(&owners.back());
		/* The outermost first: in the order of paths they come before what is in them. */
		for (auto &path : group)
			if (!covered(path, {Kind::group}))
			{
				owners.back().paths.push_back(path);
				marks[path] = &owners.back();
			}
	}

	for (auto &[path, owner] : marks)
	{
		Node *node = &root;

		for (auto &key : path)
		{
			node->owners_below.insert(owner);
			node = &node->children[key];
		}
		node->owner = owner;
	}
}

static const Node *
below(const Node *node, const std::string &key)
{
	if (!node)
		return nullptr;
	auto found = node->children.find(key);
	return found == node->children.end() ? nullptr : &found->second;
}

/* ---- The merge ---------------------------------------------------------------- */

static const Value *
differing(const Value *base, const Value *local, const Value *remote)
{
	return equal(remote, base) ? local : remote;
}

static std::optional<Value>
copy(const Value *value)
{
	return value ? std::optional<Value>(*value) : std::nullopt;
}

static bool
is_object(const Value *value)
{
	return value && value->type == Type::object;
}

using Counts = std::function<bool(const Owner *)>;

enum class Side { neither, local, remote };

class Merge
{
public:
	Answer answer;

	Merge(const Value *base, const Value *local, const Value *remote, const Policy &policy)
		: documents{base, local, remote}, policy(policy), tolerance(policy.tolerance) {}

	void run()
	{
		const Owner *owner = policy.root.owner ? policy.root.owner : &PLAIN;
		auto [base, local, remote] = documents;

		answer.local_changed = !same_in_all(base, local, &policy.root, owner);
		answer.remote_changed = !same_in_all(base, remote, &policy.root, owner);
		answer.differ = !same_in_all(local, remote, &policy.root, owner);
		answer.seen.clear();
		decide_groups();
		answer.merged = property({}, base, local, remote, &policy.root, owner);
		if (conflicts.empty())
			return;
		answer.merged.reset();
		answer.conflict = true;
		answer.open = false;
		for (auto &path : conflicts)
			/* What is in a value that conflicts as a whole is part of it. */
			if (answer.conflicts.empty() || !leads_to(answer.conflicts.back().path, path))
				answer.conflicts.push_back({path, at(base, path), at(local, path), at(remote, path)});
	}

	/* With all that counts for somebody */
	bool same_in_all(const Value *x, const Value *y, const Node *node, const Owner *owner)
	{
		return same(x, y, node, owner, [](const Owner *its) { return its->kind != Kind::ignore; });
	}

	/* Two values that are the same as a third are this close to each other. */
	void tolerate_twice() { tolerance.digits *= 2; }

private:
	struct Documents { const Value *base, *local, *remote; } documents;
	const Policy &policy;
	Decimal tolerance;
	std::set<Path, PathOrder> conflicts;
	std::map<const Owner *, Side> decided;

	void seen(const char *what) { answer.seen.insert(what); }

	/* ---- Which values are the same -------------------------------------------- */

	bool same(const Value *x, const Value *y, const Node *node, const Owner *owner, const Counts &counts,
			  bool in_array = false)
	{
		if (!counts(owner))
		{
			if (!equal(x, y))
				seen(owner->kind == Kind::ignore ? "difference in what is ignored" : "difference of another owner");
			return true;
		}
		if (!x || !y || x->type != y->type)
			return x == y;
		if (x->type == Type::object)
		{
			std::set<std::string> keys;

			for (auto value : {x, y})
				for (auto &member : value->members)
					keys.insert(member.first);
			for (auto &key : keys)
			{
				const Node *inner = below(node, key);
				bool marked = inner && inner->owner && (inner->owner->kind == Kind::ignore || !in_array);

				if (!same(child(x, key), child(y, key), inner, marked ? inner->owner : owner, counts, in_array))
					return false;
			}
			return true;
		}
		if (x->type == Type::array)
		{
			if (x->elements.size() != y->elements.size())
				return false;
			for (size_t i = 0; i < x->elements.size(); i++)
			{
				const Node *inner = below(node, std::to_string(i));
				bool ignored = inner && inner->owner && inner->owner->kind == Kind::ignore;

				if (!same(&x->elements[i], &y->elements[i], inner, ignored ? inner->owner : owner, counts, true))
					return false;
			}
			return true;
		}
		if (equal(x, y))
			return true;
		if (x->type != Type::number)
			return false;
		Decimal distance = decimal_difference(x->number, y->number);
		if (distance.digits < 0)
			distance.digits = -distance.digits;
		if (decimal_compare(distance, tolerance) >= 0)
			return false;
		seen("difference within the tolerance");
		return true;
	}

	/* Without `latest` values, which go along with what they are in */
	bool same_but_latest(const Value *x, const Value *y, const Node *node, const Owner *owner)
	{
		return same(x, y, node, owner,
					[](const Owner *its) { return its->kind != Kind::ignore && its->kind != Kind::latest; });
	}

	/* Only what belongs to this owner */
	bool same_of(const Value *x, const Value *y, const Node *node, const Owner *owner)
	{
		return same(x, y, node, owner, [owner](const Owner *its) { return its == owner; });
	}

	/* ---- Groups --------------------------------------------------------------- */

	const Node *node_of(const Path &path)
	{
		const Node *node = &policy.root;

		for (auto &key : path)
			node = below(node, key);
		return node;
	}

	/* Whose value each group takes */
	void decide_groups()
	{
		for (auto group : policy.groups)
		{
			bool local_changed = false, remote_changed = false;
			bool is_document = group->paths[0].empty();
			std::vector<Path> differing_members;

			for (auto &path : group->paths)
			{
				const Value *base = at(documents.base, path);
				const Value *local = at(documents.local, path);
				const Value *remote = at(documents.remote, path);
				const Node *node = node_of(path);
				bool by_local = !same_of(base, local, node, group);
				bool by_remote = !same_of(base, remote, node, group);

				/* What nobody changed is in no conflict, though two numbers close to
				 * a third need not be close to each other. */
				if ((by_local || by_remote) && !same_of(local, remote, node, group))
					differing_members.push_back(path);
				local_changed |= by_local;
				remote_changed |= by_remote;
			}
			if (local_changed && remote_changed)
			{
				decided[group] = Side::remote;
				for (auto &path : differing_members)
					conflicts.insert(settable(path));
				if (!differing_members.empty())
					seen(is_document ? "entity in conflict" : "group in conflict");
				if (differing_members.size() > 1)
					seen("group in conflict at several members");
			}
			else
			{
				decided[group] = local_changed ? Side::local : remote_changed ? Side::remote : Side::neither;
				if (decided[group] != Side::neither && !is_document)
					seen("group of one side");
			}
		}
	}

	/* Where a member of a group is in conflict: at its pointer, or at what it is
	 * in where that is not an object in all three. */
	Path settable(const Path &path)
	{
		for (size_t length = 0; length < path.size(); length++)
		{
			Path outer(path.begin(), path.begin() + length);

			for (auto document : {documents.base, documents.local, documents.remote})
				if (!is_object(at(document, outer)))
				{
					seen("group in conflict where one side has no place for it");
					return outer;
				}
		}
		return path;
	}

	/* ---- A property ----------------------------------------------------------- */

	/* What a property becomes; nothing where it is not there, or where it
	 * conflicts, which is noted. */
	std::optional<Value> property(const Path &path, const Value *base, const Value *local, const Value *remote,
								  const Node *node, const Owner *owner)
	{
		if (owner->kind == Kind::plain)
			return plain(path, base, local, remote, node);
		if (owner->kind == Kind::ignore)
			return ignored(base, local, remote);
		return unit(path, base, local, remote, node, owner);
	}

	static Path inside(const Path &path, const std::string &key)
	{
		Path result = path;

		result.push_back(key);
		return result;
	}

	std::optional<Value> plain(const Path &path, const Value *base, const Value *local, const Value *remote,
							   const Node *node)
	{
		bool local_changed = !same_in_all(base, local, node, &PLAIN);
		bool remote_changed = !same_in_all(base, remote, node, &PLAIN);

		if (!local_changed && !remote_changed)
			return whole(path, differing(base, local, remote), node);
		if (!remote_changed)
			return whole(path, local, node);
		if (!local_changed)
			return whole(path, remote, node);
		if (same_in_all(local, remote, node, &PLAIN))
		{
			seen(!local ? "both deleted" : !base ? "both inserted the same" : "both changed to the same");
			if (!equal(local, remote))
				seen("the same, but not quite equal");
			return whole(path, remote, node);
		}

		if (is_object(base) && is_object(local) && is_object(remote))
		{
			Value result(Type::object);
			std::set<std::string> keys;

			seen("objects merged");
			for (auto value : {base, local, remote})
				for (auto &member : value->members)
					keys.insert(member.first);
			for (auto &key : keys)
			{
				const Node *inner = below(node, key);
				auto value = property(inside(path, key), child(base, key), child(local, key), child(remote, key), inner,
									  inner && inner->owner ? inner->owner : &PLAIN);

				if (value)
					result.members[key] = *value;
			}
			return result;
		}

		/* Different, and not three objects: only `latest` values in it can make
		 * that no conflict. */
		if (is_object(local) && is_object(remote) && same_but_latest(local, remote, node, &PLAIN))
		{
			seen("both inserted, with a latest value");
			answer.open = true;		/* merged, or the same but not quite equal? */
			return composed(path, base, local, remote, node, &PLAIN, Side::remote, false);
		}
		if (is_object(base) && !is_object(local) && is_object(remote) && same_but_latest(base, remote, node, &PLAIN))
		{
			seen("latest value taken along");
			return copy(local);
		}
		if (is_object(base) && !is_object(remote) && is_object(local) && same_but_latest(base, local, node, &PLAIN))
		{
			seen("latest value taken along");
			return copy(remote);
		}
		conflicts.insert(path);
		note_conflict(path, base, local, remote);
		return {};
	}

	void note_conflict(const Path &path, const Value *base, const Value *local, const Value *remote)
	{
		auto is_array = [](const Value *value) { return value && value->type == Type::array; };

		seen(!base ? "conflict: insert/insert" :
			 !local ? "conflict: delete/change" :
			 !remote ? "conflict: change/delete" :
			 is_array(base) || is_array(local) || is_array(remote) ? "conflict: array" :
			 is_object(base) && is_object(local) != is_object(remote) ? "conflict: object replaced/changed inside" :
			 "conflict: change/change");
		if (path.empty())
			seen("conflict of the whole document");
	}

	/* A side's value with all that is in it.  Where it holds members of a group that
	 * takes the other side's values, these differ only by what the policy does not
	 * count. */
	std::optional<Value> whole(const Path &path, const Value *value, const Node *node)
	{
		if (node)
			for (auto owner : node->owners_below)
				for (auto &member : owner->paths)
				{
					if (owner->kind != Kind::group || !leads_to(path, member) || decided[owner] == Side::neither)
						continue;
					auto its = decided[owner] == Side::local ? documents.local : documents.remote;
					if (!equal(at(value, member, path.size()), at(its, member)))
					{
						seen("group in what the other side changed");
						answer.open = true;
					}
				}
		return copy(value);
	}

	/* ---- A value that is one, whatever is in it -------------------------------- */

	static const Value *of(Side side, const Value *base, const Value *local, const Value *remote)
	{
		return side == Side::local ? local : side == Side::remote ? remote : differing(base, local, remote);
	}

	static bool has_more_than_ignored_below(const Node *node)
	{
		if (node)
			for (auto owner : node->owners_below)
				if (owner->kind != Kind::ignore)
					return true;
		return false;
	}

	/* A `latest` value, or the value of a group at one of its pointers */
	std::optional<Value> unit(const Path &path, const Value *base, const Value *local, const Value *remote,
							  const Node *node, const Owner *owner)
	{
		Side side;

		if (owner->kind == Kind::group)
			side = decided[owner];
		else
		{
			bool by_local = !same_of(base, local, node, owner);
			bool by_remote = !same_of(base, remote, node, owner);

			side = by_remote ? Side::remote : by_local ? Side::local : Side::neither;
			if (!by_local || !by_remote)
			{
				if (side != Side::neither)
					seen("latest: one side");
			}
			else if (!same_of(local, remote, node, owner))
				seen("latest: both, the newer");
		}
		if (!has_more_than_ignored_below(node))
			return copy(of(side, base, local, remote));

		/* A group with a `latest` value in it.  In an object that is not the whole
		 * document both these and the rules for objects say what becomes of what is
		 * ignored. */
		if (!path.empty())
			answer.open = true;
		bool local_changed = !same_in_all(base, local, node, owner);
		bool remote_changed = !same_in_all(base, remote, node, owner);
		if (!local_changed && !remote_changed)
			return whole(path, of(side, base, local, remote), node);
		if (!remote_changed && side != Side::remote)
			return whole(path, local, node);
		if (!local_changed && side != Side::local)
			return whole(path, remote, node);
		if (local_changed && remote_changed && same_in_all(local, remote, node, owner))
			return whole(path, remote, node);
		seen("a special value with another in it");
		if (side == Side::neither)
			side = side_differing(base, remote, node, owner);
		return composed(path, base, local, remote, node, owner, side, false);
	}

	/* As differing(), of what belongs to this owner only */
	Side side_differing(const Value *base, const Value *remote, const Node *node, const Owner *owner)
	{
		tolerance = {0, 0};
		bool equals = same_of(base, remote, node, owner);
		tolerance = policy.tolerance;
		return equals ? Side::local : Side::remote;
	}

	/* In an object merged from both: from where it differs from the base */
	std::optional<Value> ignored(const Value *base, const Value *local, const Value *remote)
	{
		int sides = !equal(base, local) + !equal(base, remote);

		if (sides > 0)
			seen(sides == 2 ? "ignored value of both" : "ignored value of one side");
		if (sides == 2 && same_in_all(base, remote, nullptr, &PLAIN))
			answer.open = true;		/* Does a value differ that is within the tolerance? */
		return copy(differing(base, local, remote));
	}

	/* The side's value where it belongs to this owner, and what other owners have in
	 * it as these say */
	std::optional<Value> composed(const Path &path, const Value *base, const Value *local, const Value *remote,
								  const Node *node, const Owner *owner, Side side, bool is_inside)
	{
		const Value *mine = side == Side::local ? local : remote;

		/* An object that only one side changed comes with what is ignored, or within
		 * the tolerance, in it; here the one side may not be the owner's. */
		if (policy.tolerance.digits > 0 || (is_inside && !(equal(base, local) && equal(base, remote))))
			answer.open = true;
		if (!is_object(mine))
		{
			seen("latest value taken along");
			return copy(mine);
		}

		Value result(Type::object);
		std::set<std::string> keys;
		for (auto &member : mine->members)
			keys.insert(member.first);
		if (node)
			for (auto &member : node->children)
				keys.insert(member.first);
		for (auto &key : keys)
		{
			const Node *inner = below(node, key);
			const Owner *its = inner && inner->owner ? inner->owner : owner;
			const Value *base_value = child(base, key);
			const Value *local_value = child(local, key);
			const Value *remote_value = child(remote, key);
			std::optional<Value> value;

			if (its != owner)
				value = property(inside(path, key), base_value, local_value, remote_value, inner, its);
			else if (has_more_than_ignored_below(inner))
				value = composed(inside(path, key), base_value, local_value, remote_value, inner, owner, side, true);
			else
			{
				value = copy(child(mine, key));
				if (inner && !(equal(base_value, local_value) && equal(base_value, remote_value)))
					answer.open = true;
			}
			if (value)
				result.members[key] = *value;
		}
		return result;
	}
};

Answer
merge(const Value *base, const Value *local, const Value *remote, const Policy &policy)
{
	Merge merge(base, local, remote, policy);

	merge.run();
	return std::move(merge.answer);
}

bool
same(const Value *a, const Value *b, const Policy &policy)
{
	Merge merge(a, b, b, policy);

	merge.tolerate_twice();
	return merge.same_in_all(a, b, &policy.root, policy.root.owner ? policy.root.owner : &PLAIN);
}

}
