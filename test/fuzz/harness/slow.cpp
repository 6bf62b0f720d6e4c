#include "slow.h"

#include <algorithm>
#include <cstdint>
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
		else if (key == "acyclic")
			pointers_in(value, false);
		else if (key == "match")
		{
			if (value.type != Type::array)
				throw Refused{"= refused: not an array"};
			for (auto &element : value.elements)
			{
				Value one(Type::array);

				one.elements.push_back(element);
				pointers_in(element.type == Type::array ? element : one, false);
			}
		}
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
		else if (key == "keys")
		{
			if (value.type != Type::object)
				throw Refused{"= refused: keys"};
			for (auto &[pointer, name] : value.members)
			{
				Path path = pointer_in(Value(pointer), false);

				if (name.type != Type::string || name.string.empty())
					throw Refused{"= refused: keys"};
				keys[path] = name.string;
			}
		}
		else if (key == "null")
		{
			null_is_absent = value.type == Type::string && value.string == "absent";
			if (!null_is_absent && (value.type != Type::string || value.string != "value"))
				throw Refused{"= refused: null"};
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

	for (auto &[path, name] : keys)
	{
		Node *node = &root;

		for (auto &key : path)
			node = &node->children[key];
		node->element_key = name;
	}

	/* Groups are those of the document, or of any element. */
	std::map<std::pair<const Owner *, Path>, Owner *> apart;
	for (auto &[path, marked] : marks)
	{
		size_t scope = 0;
		const Owner *owner = marked;
		Node *node = &root;
		Node *scope_root = &root;

		for (size_t i = 0; i < path.size(); i++)
			if (path[i] == "*" && keys.count(Path(path.begin(), path.begin() + i)))
				scope = i + 1;
		if (marked->kind == Kind::group)
		{
			Owner *&own = apart[{marked, Path(path.begin(), path.begin() + scope)}];

			if (!own)
			{
				owners.push_back({Kind::group, {}});
				own = &owners.back();
			}
			own->paths.emplace_back(path.begin() + scope, path.end());
			owner = own;
		}
		for (size_t i = 0; i < path.size(); i++)
		{
			node->owners_below.insert(owner);
			node = &node->children[path[i]];
			if (i + 1 == scope)
				scope_root = node;
		}
		node->owner = owner;
		if (owner->kind == Kind::group && (scope_root->groups.empty() || scope_root->groups.back() != owner) &&
			std::find(scope_root->groups.begin(), scope_root->groups.end(), owner) == scope_root->groups.end())
			scope_root->groups.push_back(owner);
	}
}

/* ---- Elements ----------------------------------------------------------------- */

using Elements = std::vector<std::pair<std::string, const Value *>>;

/* What an element is called in a path; nothing where it has no key */
static std::optional<std::string>
name_of(const Value &element, const std::string &name)
{
	const Value *key = child(&element, name);

	if (key && key->type == Type::string)
	{
		bool quoted = !key->string.empty() && std::string("\"-0123456789").find(key->string[0]) != std::string::npos;

		return name + "=" + (quoted ? "\"" + key->string + "\"" : key->string);
	}
	if (!key || key->type != Type::number)
		return {};
	Decimal number = key->number;
	for (; number.scale > 0; number.scale--, number.digits /= 10)
		if (number.digits % 10 != 0)
			return {};
	/* A bigint, both ways; Decimal may have room for more. */
	if (decimal_compare(number, {INT64_MAX, 0}) > 0 || decimal_compare(number, {-INT64_MAX, 0}) < 0)
		return {};
	return name + "=" + std::to_string((int64_t) number.digits);
}

/* The elements by what they are called; nothing where the array is one value */
static std::optional<Elements>
keyed(const Value *array, const std::string &name)
{
	Elements elements;
	std::set<std::string> names;

	if (!array)
		return elements;
	if (array->type != Type::array)
		return {};
	for (auto &element : array->elements)
	{
		auto its = name_of(element, name);

		if (!its || !names.insert(*its).second)
			return {};
		elements.push_back({*its, &element});
	}
	return elements;
}

static const Value *
element(const Elements &elements, const std::string &name)
{
	for (auto &[its, value] : elements)
		if (its == name)
			return value;
	return nullptr;
}

/* As at(), through elements with keys, too */
static const Value *
find(const Value *value, const Path &path)
{
	for (auto &key : path)
	{
		if (value && value->type == Type::array)
		{
			auto elements = keyed(value, key.substr(0, key.find('=')));

			value = elements ? element(*elements, key) : nullptr;
		}
		else
			value = child(value, key);
	}
	return value;
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

/* In the place of a document that is the JSON null, which is not absent */
static const Value ROOT_NULL("the JSON null of a document");

class Merge
{
public:
	Answer answer;

	/* "node": of an element, what the policy says of it */
	Merge(const Value *base, const Value *local, const Value *remote, const Policy &policy, bool swapped = false,
		  Side winner = Side::neither, const Node *node = nullptr)
		: documents{base, local, remote}, given{base, local, remote}, policy(policy), tolerance(policy.tolerance),
		  null_is_absent(policy.null_is_absent), swapped(swapped), winner(winner), is_document(!node), root(node ? node : &policy.root)
	{
		for (auto document : {&documents.base, &documents.local, &documents.remote})
			if (is_document && *document && (*document)->type == Type::null)
				*document = &ROOT_NULL;
	}

	void run()
	{
		const Owner *owner = root->owner ? root->owner : &PLAIN;
		auto [base, local, remote] = documents;

		answer.local_changed = !same_in_all(base, local, root, owner);
		answer.remote_changed = !same_in_all(base, remote, root, owner);
		answer.differ = !same_in_all(local, remote, root, owner);
		answer.seen.clear();
		answer.merged = merged();
		if (answer.merged && equal(&*answer.merged, &ROOT_NULL))
			answer.merged = Value(Type::null);
		if (conflicts.empty() && orders.empty())
			return;
		answer.conflict = true;
		if (winner == Side::neither)
		{
			answer.merged.reset();
			answer.open = false;
		}
		auto paths = outermost();
		paths.insert(orders.begin(), orders.end());
		for (auto &path : paths)
			answer.conflicts.push_back({path, find(given.base, path), find(given.local, path), find(given.remote, path)});
	}

	/* The document, or element, where there are no conflicts, or a side wins */
	std::optional<Value> merged()
	{
		const Owner *owner = root->owner ? root->owner : &PLAIN;
		auto [base, local, remote] = documents;

		decide_groups();
		auto result = property({}, base, local, remote, root, owner);
		if (is_document && !base && is_object(local) && is_object(remote) && owner == &PLAIN && conflicts.empty() &&
			orders.empty() && !same_in_all(local, remote, root, owner) && !same_but_latest(local, remote, root, owner))
		{
			/* Two entities that have the same id by chance */
			conflicts.insert(Path());
			note_conflict({}, base, local, remote);
		}
		if (winner != Side::neither && won.empty())
			for (auto &path : outermost())
				if (!inner.count(path))
					won.insert(path);
		if (winner == Side::neither || won.empty() || again)
			return result;
		/* Once more, where it is known who wins what */
		again = true;
		answer.open = false;
		return merged();
	}

	/* What is in a value that conflicts as a whole is part of it. */
	std::set<Path, PathOrder> outermost()
	{
		std::set<Path, PathOrder> paths;

		for (auto &path : conflicts)
			if (paths.empty() || !leads_to(*paths.rbegin(), path))
				paths.insert(path);
		return paths;
	}

	/* With all that counts for somebody */
	bool same_in_all(const Value *x, const Value *y, const Node *node, const Owner *owner)
	{
		return same(there(x), there(y), node, owner, [](const Owner *its) { return its->kind != Kind::ignore; });
	}

	/* Two values that are the same as a third are this close to each other. */
	void tolerate_twice() { tolerance.digits *= 2; }

private:
	struct Documents { const Value *base, *local, *remote; } documents, given;
	const Policy &policy;
	Decimal tolerance;
	bool null_is_absent;
	bool swapped;
	Side winner;
	bool is_document;
	const Node *root;
	bool again = false;
	std::set<Path, PathOrder> conflicts;
	std::set<Path, PathOrder> inner;	/* of elements */
	std::set<Path, PathOrder> orders;	/* arrays of which the order conflicts */
	std::set<Path, PathOrder> won;		/* paths that the winner wins */
	std::map<const Owner *, Side> decided;

	void seen(const char *what) { answer.seen.insert(what); }

	const Value *there(const Value *value)
	{
		return value && value->type == Type::null && null_is_absent ? nullptr : value;
	}

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

				if (!same(there(child(x, key)), there(child(y, key)), inner, marked ? inner->owner : owner, counts, in_array))
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

				if (node && !node->element_key.empty())
				{
					inner = below(node, "*");
					if (!equal(child(&x->elements[i], node->element_key), child(&y->elements[i], node->element_key)))
						return false;
				}
				else if (!inner)
					inner = below(node, "*");
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
		return same(there(x), there(y), node, owner,
					[](const Owner *its) { return its->kind != Kind::ignore && its->kind != Kind::latest; });
	}

	/* Only what belongs to this owner */
	bool same_of(const Value *x, const Value *y, const Node *node, const Owner *owner)
	{
		return same(there(x), there(y), node, owner, [owner](const Owner *its) { return its == owner; });
	}

	/* ---- Groups --------------------------------------------------------------- */

	const Node *node_of(const Path &path)
	{
		const Node *node = root;

		for (auto &key : path)
			node = below(node, key);
		return node;
	}

	/* Whose value each group takes */
	void decide_groups()
	{
		for (auto group : root->groups)
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
				decided[group] = winner == Side::neither || differing_members.empty() ? Side::remote : winner;
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
				if (!is_object(at(document, outer)) && (document != documents.base || there(at(document, outer))))
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
		bool is_added = !there(base);
		bool objects = is_object(local) && is_object(remote) && (is_object(base) || is_added);

		if (won.count(path))
			return copy(of(winner, base, local, remote));
		for (auto &its : won)
			if (leads_to(path, its))
				return members(path, base, local, remote, node);

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

		if (objects)
		{
			seen(is_added ? "objects that both inserted merged" : "objects merged");
			return members(path, base, local, remote, node);
		}
		if (node && !node->element_key.empty() && local && local->type == Type::array && remote &&
			remote->type == Type::array)
		{
			auto of_base = keyed(there(base), node->element_key);
			auto of_local = keyed(local, node->element_key);
			auto of_remote = keyed(remote, node->element_key);

			if (of_base && of_local && of_remote)
			{
				seen("arrays merged by element");
				return elements(path, *of_base, *of_local, *of_remote, node);
			}
			seen("an array with an element without a key");
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

	std::optional<Value> members(const Path &path, const Value *base, const Value *local, const Value *remote,
								 const Node *node)
	{
		Value result(Type::object);
		std::set<std::string> keys;

		for (auto value : {base, local, remote})
			if (is_object(value))
				for (auto &member : value->members)
					keys.insert(member.first);
		for (auto &key : keys)
		{
			const Node *inside_it = below(node, key);
			auto value = property(inside(path, key), child(base, key), child(local, key), child(remote, key), inside_it,
								  inside_it && inside_it->owner ? inside_it->owner : &PLAIN);

			if (value)
				result.members[key] = *value;
		}
		return result;
	}

	/* Each as a document of its own; then their order */
	std::optional<Value> elements(const Path &path, const Elements &base, const Elements &local, const Elements &remote,
								  const Node *node)
	{
		static const Node nothing_said;
		const Node *any = below(node, "*");
		std::map<std::string, Value> result;

		for (auto array : {&base, &local, &remote})
			for (auto &[name, value] : *array)
			{
				if (array == &local ? element(base, name) != nullptr :
					array == &remote && (element(base, name) || element(local, name)))
					continue;
				Merge merge(element(base, name), element(local, name), element(remote, name), policy, swapped, winner,
							any ? any : &nothing_said);
				merge.tolerance = tolerance;
				auto merged = merge.merged();
				for (auto *of : {&merge.conflicts, &merge.orders})
					for (auto &its : *of)
					{
						Path at_it = inside(path, name);

						at_it.insert(at_it.end(), its.begin(), its.end());
						(of == &merge.orders ? orders : conflicts).insert(at_it);
						inner.insert(at_it);
					}
				answer.seen.insert(merge.answer.seen.begin(), merge.answer.seen.end());
				answer.open |= merge.answer.open;
				if (merged)
					result[name] = *merged;
			}
		return ordered(path, base, local, remote, result);
	}

	static std::vector<std::string> names(const Elements &array, const Elements &a, const Elements &b)
	{
		std::vector<std::string> result;

		for (auto &[name, value] : array)
			if (element(a, name) && element(b, name))
				result.push_back(name);
		return result;
	}

	std::optional<Value> ordered(const Path &path, const Elements &base, const Elements &local, const Elements &remote,
								 std::map<std::string, Value> &result)
	{
		auto was = names(base, local, remote);
		auto mine = names(local, base, remote);
		auto its = names(remote, base, local);
		bool conflict = was != mine && was != its && mine != its;
		bool by_remote = conflict ? winner == Side::remote : was == mine;
		std::vector<std::string> order;
		auto place = [&](const Elements &array, std::function<bool(const std::string &)> wanted) {
			size_t next = 0;

			for (auto &[name, value] : array)
			{
				auto found = std::find(order.begin(), order.end(), name);

				if (found != order.end())
					next = found - order.begin() + 1;
				else if (result.count(name) && wanted(name))
					order.insert(order.begin() + next++, name);
			}
		};
		auto in_base = [&](const std::string &name) { return element(base, name) != nullptr; };
		auto &real_local = swapped ? remote : local;
		auto &real_public = swapped ? local : remote;

		if (conflict)
		{
			seen("order of elements in conflict");
			orders.insert(path);
		}
		place(by_remote ? remote : local, in_base);
		place(by_remote ? local : remote, in_base);
		place(real_local, [&](const std::string &name) { return !element(real_public, name); });
		place(real_public, [](const std::string &) { return true; });

		Value array(Type::array);
		for (auto &name : order)
			array.elements.push_back(result[name]);
		return array;
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
					if (!decided.count(owner) || !leads_to(path, member) || decided[owner] == Side::neither)
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

	/* Has one side, which may not win, deleted or replaced what a `latest` value is in? */
	bool is_replaced(const Value *base, const Value *local, const Value *remote, const Node *node, const Owner *owner)
	{
		return winner != Side::neither && !(is_object(base) && is_object(local) && is_object(remote)) &&
			!same_but_latest(local, remote, node, owner);
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
		if (is_replaced(base, local, remote, node, owner))
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
		null_is_absent = false;
		bool equals = same_of(base, remote, node, owner);
		tolerance = policy.tolerance;
		null_is_absent = policy.null_is_absent;
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
			else if (inner && is_replaced(base_value, local_value, remote_value, inner, owner))
				value = copy(child(mine, key));
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
merge(const Value *base, const Value *local, const Value *remote, const Policy &policy, bool swapped, Side winner)
{
	Merge merge(base, local, remote, policy, swapped, winner);

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
